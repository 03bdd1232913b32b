#include "feature_cache_targets.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feature_cache_h5.h"
#include "memory.h"

/* Classes of a file that does not name them; more is taken for a mistake. */
#define MAX_UNNAMED_CLASSES (1 << 20)
#define WHAT_SIZE 512

/* By the attribute kind; without it whole numbers are classes. */
static int read_kind(const PfCacheFile *file, PfCacheTargetRows *target, PfError *err)
{
    hid_t type = H5Dget_type(target->dataset);
    H5T_class_t numbers = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    if (type >= 0) H5Tclose(type);
    if (numbers != H5T_INTEGER && numbers != H5T_FLOAT)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s does not hold numbers", file->path,
                       target->info.name);
    char *kind = pf_h5_read_text_attribute(target->dataset, "kind");
    int is_class = kind ? !strcmp(kind, "class") : numbers == H5T_INTEGER;
    int is_known = !kind || is_class || !strcmp(kind, "regression");
    if (!is_known)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s': /targets/%s is of kind '%s'; expected 'class' or 'regression'", file->path,
                target->info.name, kind);
    free(kind);
    if (!is_known) return -1;
    if (is_class && numbers != H5T_INTEGER)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s is of kind 'class' and holds numbers that are not whole",
                       file->path, target->info.name);
    target->info.kind = is_class ? PF_TARGET_CLASS : PF_TARGET_REGRESSION;
    return 0;
}

/* Names as the file has them, or numbers up to the largest index. */
static int read_class_names(const PfCacheFile *file, PfCacheTargetRows *target, int32_t largest,
                            PfError *err)
{
    char name[PF_CACHE_NAME_SIZE + 16], what[WHAT_SIZE];
    hid_t dataset;
    snprintf(name, sizeof name, "classes/%s", target->info.name);
    snprintf(what, sizeof what, "/%s of '%s'", name, file->path);
    if (pf_cache_file_find(file, name, &dataset, err)) return -1;
    if (dataset >= 0) {
        if (H5Iget_type(dataset) != H5I_DATASET)
            return pf_fail(err, PF_EXIT_FAILED, "%s is not a dataset", what);
        return pf_cache_texts_read(&target->classes, dataset, what, err);
    }
    if (largest >= MAX_UNNAMED_CLASSES)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has a class index of %d and there is no /classes/%s",
                       file->path, target->info.name, (int)largest, target->info.name);
    return pf_cache_texts_number(&target->classes, (int64_t)largest + 1, err);
}

static int read_class_target(const PfCacheFile *file, PfCacheTargetRows *target, PfError *err)
{
    int32_t largest = -1;
    target->indices = pf_alloc_aligned((size_t)file->row_count, sizeof *target->indices, err);
    if (!target->indices) return -1;
    if (file->row_count && H5Dread(target->dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                   target->indices) < 0)
        return pf_h5_fail(err, "'%s': cannot read /targets/%s", file->path, target->info.name);
    for (int64_t i = 0; i < file->row_count; i++)
        if (target->indices[i] > largest) largest = target->indices[i];
    if (read_class_names(file, target, largest, err)) return -1;
    for (int64_t i = 0; i < file->row_count; i++)
        if (target->indices[i] < -1 || target->indices[i] >= target->classes.count)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /targets/%s is class %d; there are %lld classes, "
                           "and -1 is unlabelled",
                           file->path, (long long)i, target->info.name, (int)target->indices[i],
                           (long long)target->classes.count);
    target->info.classes = target->classes.items;
    target->info.class_count = (int)target->classes.count;
    return 0;
}

int pf_cache_target_rows_open(const PfCacheFile *file, hid_t group, const char *name,
                              PfCacheTargetRows *target, PfError *err)
{
    char full_name[PF_CACHE_NAME_SIZE + 16];
    int64_t width;
    snprintf(target->info.name, sizeof target->info.name, "%s", name);
    target->dataset = H5Oopen(group, name, H5P_DEFAULT);
    if (target->dataset < 0)
        return pf_h5_fail(err, "'%s': cannot open /targets/%s", file->path, target->info.name);
    snprintf(full_name, sizeof full_name, "targets/%s", name);
    if (pf_cache_file_check_rows(file, full_name, target->dataset, &width, err) ||
        read_kind(file, target, err))
        return -1;
    if (width < 1 || width > INT_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s has %lld numbers a row", file->path,
                       target->info.name, (long long)width);
    target->info.width = (int)width;
    if (target->info.kind == PF_TARGET_REGRESSION) return 0;
    if (target->info.width != 1)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has %d numbers a row; a class is one", file->path,
                       target->info.name, target->info.width);
    return read_class_target(file, target, err);
}

void pf_cache_target_rows_free(PfCacheTargetRows *target)
{
    pf_cache_texts_free(&target->classes);
    free(target->indices);
}
