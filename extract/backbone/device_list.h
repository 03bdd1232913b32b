/* The devices that --device names. */
#ifndef PF_EXTRACT_BACKBONE_DEVICE_LIST_H
#define PF_EXTRACT_BACKBONE_DEVICE_LIST_H

#include "permafrost/error.h"

#define PF_DEVICES_MAX 64

/* "auto", or a list of "cpu", "cuda" and "cuda:N" ("cpu:overlap" is for tests): (count) names, to
 * be given to pf_options_free_list(). The same GPU twice is refused; cpu several times shares out
 * the cores. Whether they are there turns out when they are opened. */
int pf_device_list_parse(const char *text, char ***names, int *count, PfError *err);

/* -1 where it is no such list. */
int pf_device_list_check(const char *text, PfError *err);

/* CPU threads for each device, of `processors`: all of them, or where several devices are cpus the
 * share of one, at least 1. */
int pf_device_list_threads(char *const *names, int count, int processors);

#endif
