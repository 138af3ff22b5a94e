'use strict';

// fnrun's runtime hooks for Node.js: what a function wants done before its snapshot is taken, and after each restore.
//
//     const { registerAfterRestore } = require('snapshot-restore');
//     registerAfterRestore(async () => { ... });
//
// An ES module gets it by createRequire(import.meta.url)('snapshot-restore'): `import` doesn't look into NODE_PATH.

const beforeSnapshot = [];
const afterRestore = [];

// Before the snapshot; what was registered last is called first.
function registerBeforeSnapshot(hook) {
  beforeSnapshot.unshift(hook);
}

// After a restore, before the first invocation, in the order of registration.
function registerAfterRestore(hook) {
  afterRestore.push(hook);
}

module.exports = { registerBeforeSnapshot, registerAfterRestore, beforeSnapshot, afterRestore };
