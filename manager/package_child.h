/* What the manager's children for packages do. They own nothing of the manager's but the descriptors named here. */
#ifndef FNRUN_PACKAGE_CHILD_H
#define FNRUN_PACKAGE_CHILD_H

/* Copies, hashes and unpacks the zip behind `source` into dir/temp, renames that to its digest, and writes one struct
 * package_info to `report`. On failure dir/temp is gone again. Runs in a child; ends it. */
_Noreturn void package_child_add(int dir, int source, const char *temp, int report);

/* Removes dir/temp and all beneath it. Runs in a child; ends it. */
_Noreturn void package_child_remove(int dir, const char *temp);

/* Removes `name` in `dir`, a file or a tree, without ever following a link. Leaves what it can't remove. */
void package_remove_tree(int dir, const char *name);

#endif
