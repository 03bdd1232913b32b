/* Prints what the weight readers see: "# <format> <sha256>", then a line
 * "<name> <dtype> <shape> <SHA-256 of the contiguous bytes>" for every tensor.
 * For tests, which compare it with what torch sees. */
#include <stdio.h>

#include "common/base/digest.h"
#include "common/base/log.h"
#include "common/weights/weights.h"

static void print_tensor(const PfNamedTensor *tensor)
{
    const PfTensorView *view = &tensor->view;
    char shape[PF_SHAPE_TEXT_SIZE], digest[PF_SHA256_TEXT_SIZE];
    pf_digest_sha256_text(
        view->data, (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype), digest);
    printf("%s %s %s %s\n", tensor->name, pf_dtype_name(view->dtype),
           pf_shape_text(&view->shape, shape), digest);
}

int main(int argc, char **argv)
{
    PfWeights *weights;
    PfError err = {0};
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s FILE [KEY]\n", argv[0]);
        return PF_EXIT_USAGE;
    }
    pf_log_setup("dump_weights", PF_NORMAL);
    if (pf_weights_open_entry(argv[1], argc == 3 ? argv[2] : NULL, &weights, &err))
        return pf_log_error(&err);
    size_t count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    printf("# %s %s\n", pf_weights_format(weights), pf_weights_sha256(weights));
    for (size_t i = 0; i < count; i++) print_tensor(&tensors[i]);
    pf_weights_close(&weights);
    return PF_EXIT_DONE;
}
