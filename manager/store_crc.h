/*
 * CRC32C and CRC-64/NVME. The AWS CLI 2.23 and later send the latter with every upload, and no library that Debian 12
 * has computes it (ISA-L does from 2.31 on); zlib has CRC32 only.
 */
#ifndef FNRUN_STORE_CRC_H
#define FNRUN_STORE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what came before and `data`; starts at 0. */
uint64_t crc32c_add(uint64_t crc, const void *data, size_t size);
uint64_t crc64nvme_add(uint64_t crc, const void *data, size_t size);

#endif
