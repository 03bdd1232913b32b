/* Which TorchScript files may run because a model or a cache names them.
 *
 * The user's list is $XDG_STATE_HOME/permafrost/trusted (default
 * ~/.local/state/permafrost/trusted), mode 0600, a line "<sha256>  <absolute path>" for each file,
 * as sha256sum -c reads it. Only
 * --trust FILE.pt writes it. */
#ifndef PF_TRUSTED_SCRIPTS_H
#define PF_TRUSTED_SCRIPTS_H

#include "script_file.h"

/* Puts the file into the list, which is made where there is none, and says so. */
int pf_trust_script(const char *path, PfError *err);

/* --trust is all that its command does: operands beside it are refused. */
int pf_trust_check_operands(int count, PfError *err);

/* Opens the TorchScript file that something else than the command line names; by: what does, like
 * "model 'head.safetensors'". Fails with the commands that would allow it unless the list holds its
 * absolute path and the digest of the bytes that were read; a list that others can write is not
 * believed. */
int pf_trusted_script_open(const char *path, const char *by, PfScriptFile **out, PfError *err);

#endif
