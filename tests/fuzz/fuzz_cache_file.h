/* Everything that a cache file offers, read. */
#ifndef PF_TESTS_FUZZ_CACHE_FILE_H
#define PF_TESTS_FUZZ_CACHE_FILE_H

/* Opens the file at path as a feature cache and reads what is in it; either may be refused. */
void fuzz_read_cache(const char *path);

#endif
