/* What contradicts itself on the command line of extract. */
#ifndef PF_EXTRACT_OPTIONS_CHECK_H
#define PF_EXTRACT_OPTIONS_CHECK_H

#include "extract/options.h"
#include "permafrost/error.h"

/* Of options that were parsed and ask for neither --help nor --version: a usage error, or what
 * follows from them: the mode, its operand, output and inputs. */
int pf_options_check(PfExtractOptions *options, PfError *err);

#endif
