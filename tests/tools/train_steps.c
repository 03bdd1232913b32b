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

#include "train/fit/head_optimizer.h"

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

    PfHeadSpec spec = {0};
    const uint64_t seed = 0;
    PfHeadNetwork *network;
    PfHeadPass *pass;
    PfHeadOptimizer *optimizer;
    PfTask task;
    PfTaskTruth truth = {0};
    PfHeadSetting setting = {.learning_rate = initial_rate,
                             .weight_decay = config.weight_decay,
                             .momentum = config.momentum,
                             .schedule = schedule};
    PfHeadBatchConfig heads = {.optimizer = config.kind, .settings = &setting, .head_count = 1};
    if (pf_head_network_new(&spec, d, classes, 1, &seed, &network, NULL) ||
        pf_head_pass_new(network, batch, 1, &pass, NULL) ||
        pf_head_optimizer_new(network, &heads, &optimizer, NULL) ||
        pf_task_init(&task, "class", PF_TARGET_CLASS, classes, n, NULL))
        return 1;
    float *parameters = network->layers[0].parameters;
    float *weight = read_array((size_t)(d * classes)), *bias = read_array((size_t)classes);
    for (int c = 0; c < classes; c++) {
        for (int j = 0; j < d; j++) parameters[j * classes + c] = weight[c * d + j];
        parameters[d * classes + c] = bias[c];
    }
    float *x = read_array((size_t)n * (size_t)d);
    int32_t *labels = read_array((size_t)n), *rows = calloc((size_t)n, sizeof *rows);
    for (int i = 0; i < n; i++) {
        task.labels[i] = labels[i];
        rows[i] = i;
    }
    for (int epoch = 0; epoch < epochs; epoch++) {
        double rate = pf_schedule_rate(&schedule, initial_rate, epoch, epochs);
        for (int first = 0; first < n; first += batch) {
            int count = n - first < batch ? n - first : batch;
            PfTaskSum sum = {0};
            float scale = 1.0f / (float)count;
            float *outputs = pf_head_forward_training(network, pass, x + (size_t)first * (size_t)d,
                                                      count, 0, NULL);
            PfTaskColumns columns = {
                .outputs = outputs, .stride = classes, .heads = 1, .scale = &scale};
            pf_task_gather(&task, rows + first, count, &truth, NULL);
            pf_task_losses(&task, &truth, &columns, &sum, 1);
            pf_head_backward(network, pass, NULL);
            pf_head_optimizer_step(optimizer, network, pass, &rate);
        }
    }
    for (int c = 0; c < classes; c++) {
        for (int j = 0; j < d; j++) weight[c * d + j] = parameters[j * classes + c];
        bias[c] = parameters[d * classes + c];
    }
    fwrite(weight, sizeof *weight, (size_t)(d * classes), stdout);
    fwrite(bias, sizeof *bias, (size_t)classes, stdout);
    return 0;
}
