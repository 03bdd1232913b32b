#include "common/cache/hdf5/internal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Classes of a file that does not name them; more is taken for a mistake. */
#define MAX_UNNAMED_CLASSES (1 << 20)
#define WHAT_SIZE 512

/* ---- kinds ---- */

static const char *const kind_names[] = {
    [PF_TARGET_CLASS] = "class",
    [PF_TARGET_REGRESSION] = "regression",
    [PF_TARGET_MULTILABEL] = "multilabel",
    [PF_TARGET_KEYPOINTS] = "keypoints",
};
#define KINDS (sizeof kind_names / sizeof *kind_names)

const char *pf_target_kind_name(PfTargetKind kind)
{
    return kind_names[kind];
}

int pf_target_kind_from_name(const char *name, PfTargetKind *kind)
{
    for (size_t i = 0; i < KINDS; i++)
        if (!strcmp(name, kind_names[i])) {
            *kind = (PfTargetKind)i;
            return 0;
        }
    return -1;
}

/* By the attribute kind; without it whole numbers are classes. */
static int read_kind(const PfHdf5File *file, PfHdf5Target *target, PfError *err)
{
    hid_t type = H5Dget_type(target->id);
    H5T_class_t numbers = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    if (type >= 0) H5Tclose(type);
    if (numbers != H5T_INTEGER && numbers != H5T_FLOAT)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s does not hold numbers", file->path,
                       target->info.name);
    char *kind = pf_hdf5_read_text_attribute(target->id, "kind");
    target->info.kind = numbers == H5T_INTEGER ? PF_TARGET_CLASS : PF_TARGET_REGRESSION;
    bool unknown = kind && pf_target_kind_from_name(kind, &target->info.kind);
    if (unknown)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s': /targets/%s is of kind '%.100s'; expected 'class', 'regression', "
                "'multilabel' or 'keypoints'",
                file->path, target->info.name, kind);
    free(kind);
    if (unknown) return -1;
    if (target->info.kind == PF_TARGET_CLASS && numbers != H5T_INTEGER)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s is of kind 'class' and holds numbers that are not whole",
                       file->path, target->info.name);
    return 0;
}

/* ---- names ---- */

/* Leaves target->classes empty where the file has no /classes/<name>. */
static int read_names(const PfHdf5File *file, PfHdf5Target *target, PfError *err)
{
    char name[PF_CACHE_NAME_SIZE + 16], what[WHAT_SIZE];
    hid_t dataset;
    snprintf(name, sizeof name, "classes/%s", target->info.name);
    snprintf(what, sizeof what, "/%s of '%s'", name, file->path);
    if (pf_hdf5_file_find(file, name, &dataset, err)) return -1;
    if (dataset < 0) return 0;
    if (H5Iget_type(dataset) != H5I_DATASET)
        return pf_fail(err, PF_EXIT_FAILED, "%s is not a dataset", what);
    return pf_hdf5_texts_read(&target->classes, dataset, what, err);
}

static void show_names(PfHdf5Target *target)
{
    target->info.classes = target->classes.items;
    target->info.class_count = (int)target->classes.count;
}

/* ---- classes ---- */

/* Names as the file has them, or numbers up to the largest index. */
static int read_class_names(const PfHdf5File *file, PfHdf5Target *target, int32_t largest,
                            PfError *err)
{
    if (read_names(file, target, err)) return -1;
    if (target->classes.items) return 0;
    if (largest >= MAX_UNNAMED_CLASSES)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has a class index of %d and there is no /classes/%s",
                       file->path, target->info.name, (int)largest, target->info.name);
    return pf_hdf5_texts_number(&target->classes, (int64_t)largest + 1, err);
}

static int read_class_target(const PfHdf5File *file, PfHdf5Target *target, PfError *err)
{
    int32_t largest = -1;
    target->indices = pf_alloc_aligned((size_t)file->row_count, sizeof *target->indices, err);
    if (!target->indices) return -1;
    if (file->row_count && pf_hdf5_read(target->id, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                        target->indices) < 0)
        return pf_hdf5_fail(err, "'%s': cannot read /targets/%s", file->path, target->info.name);
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
    show_names(target);
    return 0;
}

/* ---- labels and points ---- */

/* As many names as labels, or as points; labels without names are numbered. */
static int read_label_names(const PfHdf5File *file, PfHdf5Target *target, PfError *err)
{
    bool is_points = target->info.kind == PF_TARGET_KEYPOINTS;
    int64_t expected = is_points ? target->info.width / 2 : target->info.width;
    if (read_names(file, target, err)) return -1;
    if (!target->classes.count && !is_points && expected > MAX_UNNAMED_CLASSES)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s has %lld labels without names",
                       file->path, target->info.name, (long long)expected);
    if (!target->classes.count && !is_points &&
        pf_hdf5_texts_number(&target->classes, expected, err))
        return -1;
    if (target->classes.count && target->classes.count != expected)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /classes/%s has %lld names for %lld %s",
                       file->path, target->info.name, (long long)target->classes.count,
                       (long long)expected, is_points ? "points" : "labels");
    show_names(target);
    return 0;
}

static int check_width(const PfHdf5File *file, const PfCacheTarget *target, PfError *err)
{
    if (target->kind == PF_TARGET_CLASS && target->width != 1)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has %d numbers a row; a class is one", file->path,
                       target->name, target->width);
    if (target->kind == PF_TARGET_KEYPOINTS && target->width % 2)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has %d numbers a row; points are x and y in turn",
                       file->path, target->name, target->width);
    return 0;
}

static int read_contents(const PfHdf5File *file, PfHdf5Target *target, PfError *err)
{
    switch (target->info.kind) {
    case PF_TARGET_CLASS: return read_class_target(file, target, err);
    case PF_TARGET_MULTILABEL:
    case PF_TARGET_KEYPOINTS: return read_label_names(file, target, err);
    default: return 0;
    }
}

/* ---- the target ---- */

int pf_hdf5_target_open(const PfHdf5File *file, const char *name, PfHdf5Target *target,
                        PfError *err)
{
    char full_name[PF_CACHE_NAME_SIZE + 16];
    int64_t width;
    hid_t dataset;
    snprintf(target->info.name, sizeof target->info.name, "%s", name);
    snprintf(full_name, sizeof full_name, "targets/%s", name);
    if (pf_hdf5_file_find(file, full_name, &dataset, err)) return -1;
    target->id = dataset;
    if (pf_hdf5_file_check_rows(file, full_name, dataset, &width, err) ||
        read_kind(file, target, err))
        return -1;
    if (width < 1 || width > INT_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s has %lld numbers a row", file->path,
                       target->info.name, (long long)width);
    target->info.width = (int)width;
    return check_width(file, &target->info, err) ? -1 : read_contents(file, target, err);
}

void pf_hdf5_target_free(PfHdf5Target *target)
{
    pf_hdf5_texts_free(&target->classes);
    free(target->indices);
}

/* Whether a target of that kind may have the number: labels are 0 to 1, and nothing is infinite. */
static bool is_sound(PfTargetKind kind, float value)
{
    if (kind == PF_TARGET_MULTILABEL) return isnan(value) || (value >= 0 && value <= 1);
    return !isinf(value);
}

int pf_hdf5_target_read(const PfHdf5File *file, const PfHdf5Target *target, float *out,
                        PfError *err)
{
    const PfCacheTarget *info = &target->info;
    if (!file->row_count) return 0;
    if (pf_hdf5_read(target->id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        return pf_hdf5_fail(err, "'%s': cannot read /targets/%s", file->path, info->name);
    for (int64_t i = 0; i < file->row_count * info->width; i++)
        if (!is_sound(info->kind, out[i]))
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /targets/%s has the number %g; expected %s, or NaN "
                           "where nothing is known",
                           file->path, (long long)(i / info->width), info->name, (double)out[i],
                           info->kind == PF_TARGET_MULTILABEL ? "0 to 1" : "finite ones");
    return 0;
}
