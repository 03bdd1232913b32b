/* What fuzz_cifar.c and fuzz_records.c share. */
#ifndef PF_TESTS_FUZZ_SAMPLES_H
#define PF_TESTS_FUZZ_SAMPLES_H

/* Opens a folder as a dataset and reads all of its samples: they have classes that there are, and
 * as many bytes as their size says, RGB. side: width and height of each; 0: any. */
void fuzz_samples(const char *folder, int side);

#endif
