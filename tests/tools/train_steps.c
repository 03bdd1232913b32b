/* Trains a head on batches in the order given, so that another program can do
 * the same and compare.
 *
 * usage: train_steps OPTIMIZER LR DECAY MOMENTUM SCHEDULE EPOCHS BATCH N D C
 *   OPTIMIZER: adam adamw sgd    SCHEDULE: constant cosine, or epochs between drops by 0.1
 * stdin:  weight (C, D) f32, bias (C) f32, x (N, D) f32, labels (N) i32
 * stdout: weight and bias after the last epoch */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"
#include "optimizer.h"

static void *read_array(size_t count)
{
    float *values = calloc(count, sizeof *values);
    if (!values || fread(values, sizeof *values, count, stdin) != count) {
        fprintf(stderr, "train_steps: stdin is too short\n");
        exit(1);
    }
    return values;
}

static PfSchedule parse_schedule(const char *text)
{
    if (!strcmp(text, "constant")) return (PfSchedule){.kind = PF_SCHEDULE_CONSTANT};
    if (!strcmp(text, "cosine")) return (PfSchedule){.kind = PF_SCHEDULE_COSINE};
    return (PfSchedule){.kind = PF_SCHEDULE_STEP, .step_epochs = atoi(text), .gamma = 0.1};
}

int main(int argc, char **argv)
{
    if (argc != 11) return 2;
    PfOptimizerConfig config = pf_optimizer_config(!strcmp(argv[1], "adam")    ? PF_ADAM
                                                   : !strcmp(argv[1], "adamw") ? PF_ADAMW
                                                                               : PF_SGD);
    double initial_rate = atof(argv[2]);
    config.weight_decay = atof(argv[3]);
    config.momentum = atof(argv[4]);
    PfSchedule schedule = parse_schedule(argv[5]);
    int epochs = atoi(argv[6]), batch = atoi(argv[7]);
    int n = atoi(argv[8]), d = atoi(argv[9]), classes = atoi(argv[10]);

    PfHead *head;
    PfOptimizer *optimizer;
    pf_head_setup();
    if (pf_head_new(d, classes, 0, &head, NULL) ||
        pf_optimizer_new(&config, head->parameter_count, &optimizer, NULL))
        return 1;
    float *start = read_array((size_t)head->parameter_count);
    memcpy(head->weight, start, (size_t)head->parameter_count * sizeof *start);
    float *x = read_array((size_t)n * (size_t)d);
    int32_t *labels = read_array((size_t)n);
    float *logits = calloc((size_t)batch * (size_t)classes, sizeof *logits);
    float *gradient = calloc((size_t)head->parameter_count, sizeof *gradient);

    for (int epoch = 0; epoch < epochs; epoch++) {
        double rate = pf_schedule_rate(&schedule, initial_rate, epoch, epochs);
        for (int first = 0; first < n; first += batch) {
            int rows = n - first < batch ? n - first : batch;
            const float *block = x + (size_t)first * (size_t)d;
            pf_head_forward(head, block, rows, logits);
            pf_softmax_cross_entropy(logits, rows, classes, classes, labels + first,
                                     1.0f / (float)rows);
            pf_head_backward(head, block, logits, rows, gradient);
            pf_optimizer_step(optimizer, rate, head->weight, gradient);
        }
    }
    fwrite(head->weight, sizeof(float), (size_t)head->parameter_count, stdout);
    free(gradient);
    free(logits);
    free(labels);
    free(x);
    free(start);
    pf_optimizer_free(&optimizer);
    pf_head_free(&head);
    return 0;
}
