#include "inspect/words.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/printable.h"
#include "common/cache/split.h"

#define COLUMNS 80 /* or fewer, where the terminal has fewer */
/* Below this accuracy a judge of labels is said to be a weak one. */
#define WEAK_JUDGE 0.75
/* From so much accuracy on more images are said to help. */
#define WORTH_LABELLING 0.01

typedef struct Words {
    FILE *stream;
    const PfInspectOptions *options;
    const PfRows *rows;
    int columns;
} Words;

const char *pf_words_name(const PfInspectOptions *options, const PfRows *rows, int64_t row,
                          char name[PF_ROW_NAME_SIZE])
{
    if (!options->anonymous) return pf_rows_name(rows, row, name);
    snprintf(name, PF_ROW_NAME_SIZE, "%lld", (long long)row);
    return name;
}

/* Columns of the first size bytes. */
static int width_of(const char *text, size_t size)
{
    int width = 0;
    for (size_t i = 0; i < size; i++) width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static Words begin_words(FILE *stream, const PfInspectOptions *options, const PfRows *rows)
{
    int columns = pf_log_columns(fileno(stream));
    return (Words){stream, options, rows, columns > 0 && columns < COLUMNS ? columns : COLUMNS};
}

/* A paragraph, wrapped at blanks; its further lines are indented. */
static void say(const Words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const Words *words, const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(text, sizeof text, format, arguments);
    va_end(arguments);
    int column = 0;
    for (const char *word = text; *word;) {
        size_t size = strcspn(word + 1, " ") + 1; /* a word and the blank before it */
        int width = width_of(word, size);
        if (column && column + width > words->columns) {
            fputs("\n   ", words->stream);
            column = 3;
        }
        fwrite(word, 1, size, words->stream);
        column += width;
        word += size;
    }
    fputs("\n", words->stream);
}

static const char *name_of(const Words *words, int64_t row, char name[PF_ROW_NAME_SIZE])
{
    return pf_words_name(words->options, words->rows, row, name);
}

static const char *class_of(const Words *words, int32_t class)
{
    return class < 0 ? "none" : words->rows->classes[class];
}

static int64_t shown(const Words *words, int64_t count)
{
    return count < words->options->most ? count : words->options->most;
}

static void say_rest(const Words *words, int64_t count)
{
    int64_t rest = count - shown(words, count);
    if (rest > 0)
        say(words, "  and %lld more (--most %lld, --csv, --json)", (long long)rest,
            (long long)count);
}

/* Whether it is there to be told; else says why it is not. */
static bool is_done(const Words *words, const char *what, const PfFindingStatus *status)
{
    if (status->done) return true;
    if (*status->reason)
        say(words, "%s: not looked for, as %" PF_SENTENCE ".", what, status->reason);
    return false;
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- what is inspected ---- */

void pf_words_begin(FILE *stream, const PfInspectOptions *options, const PfRows *rows)
{
    Words words = begin_words(stream, options, rows);
    int64_t splits[PF_SPLIT_COUNT] = {0};
    for (int64_t i = 0; i < rows->count; i++) splits[rows->splits[i]]++;
    say(&words, "%s: %lld image%s (%lld train, %lld val, %lld test), %lld features of tap '%s'%s",
        options->anonymous ? "the cache" : pf_cache_path(rows->cache), (long long)rows->count,
        plural(rows->count), (long long)splits[PF_SPLIT_TRAIN], (long long)splits[PF_SPLIT_VAL],
        (long long)splits[PF_SPLIT_TEST], (long long)rows->features,
        pf_cache_tap(rows->cache, rows->tap)->name,
        rows->x ? "" : ", read from the cache again and again, as memory is short");
}

/* ---- neighbours ---- */

static void tell_neighbours(const Words *words, const PfNeighbourLists *found)
{
    const PfNeighboursWay *way = &found->way;
    if (!found->status.done) return;
    if (!way->by_cells) {
        say(words, "Compared: all pairs of images, exactly%s.",
            way->cells ? ", which was no slower here than by cells" : "");
        return;
    }
    say(words,
        "Compared: approximately, each image with those of the %d nearest of %d cells, %.1f %% of "
        "all pairs (--exact compares all). Of %d images all others were looked at, too:",
        way->probes, way->cells, 100 * way->compared, way->sampled);
    for (int list = 0; list < found->count; list++)
        say(words, "  found %.1f %% of the nearest, %.1f %% of the %d nearest%s",
            100 * way->recall_nearest[list], 100 * way->recall[list], found->k[list],
            found->of_train_rows[list] ? " train images with a label" : "");
}

/* ---- features, classes ---- */

static void list_rows(const Words *words, const int32_t *list, int64_t count)
{
    char name[PF_ROW_NAME_SIZE];
    for (int64_t i = 0; i < shown(words, count); i++)
        pf_print(words->stream, "  %s\n", name_of(words, list[i], name));
    say_rest(words, count);
}

static void tell_features(const Words *words, const PfFeatureFindings *found)
{
    if (!is_done(words, "Features", &found->status)) return;
    if (!found->constant_count && !found->broken_count && !found->zero_count) {
        say(words, "Features: all finite, none constant.");
        return;
    }
    if (found->constant_count)
        say(words, "Features: %lld of %lld are the same in all images. That does no harm.",
            (long long)found->constant_count, (long long)words->rows->features);
    if (found->broken_count) {
        say(words, "Features: NaN or infinite in %lld image%s, which count in nothing else:",
            (long long)found->broken_count, plural(found->broken_count));
        list_rows(words, found->broken, found->broken_count);
    }
    if (found->zero_count) {
        say(words, "Features: all zero in %lld image%s, which have no neighbours:",
            (long long)found->zero_count, plural(found->zero_count));
        list_rows(words, found->zero, found->zero_count);
    }
}

static int64_t class_rows(const PfClassFindings *found, int32_t class)
{
    int64_t total = 0;
    for (int s = 0; s < PF_SPLIT_COUNT; s++) total += found->counts[class * PF_SPLIT_COUNT + s];
    return total;
}

static void tell_classes(const Words *words, const PfClassFindings *found)
{
    if (!is_done(words, "Classes", &found->status)) return;
    if (found->most >= 0 && class_rows(found, found->most) == class_rows(found, found->fewest))
        say(words, "Classes: %d, of %lld image%s each.", found->classes - found->empty,
            (long long)class_rows(found, found->most), plural(class_rows(found, found->most)));
    else if (found->most >= 0)
        say(words, "Classes: %d; the largest is '%s' (%lld images), the smallest '%s' (%lld).",
            found->classes, class_of(words, found->most), (long long)class_rows(found, found->most),
            class_of(words, found->fewest), (long long)class_rows(found, found->fewest));
    if (found->empty) say(words, "  %d of them have no image.", found->empty);
    if (found->unlabelled)
        say(words, "  %lld image%s stand under no class.", (long long)found->unlabelled,
            plural(found->unlabelled));
    if (!found->has_overlap || !found->pair_count) return;
    say(words, "  Classes that look alike, by the %d images most like each image:", found->k);
    for (int64_t i = 0; i < shown(words, found->pair_count); i++)
        say(words, "  %5.1f %% of those most like '%s' are '%s'", 100 * found->pairs[i].share,
            class_of(words, found->pairs[i].of), class_of(words, found->pairs[i].taken_for));
    say_rest(words, found->pair_count);
}

/* ---- duplicates, outliers ---- */

static void tell_group(const Words *words, const PfDuplicates *found, const PfDuplicateGroup *group)
{
    char name[PF_ROW_NAME_SIZE];
    char how[60];
    if (group->is_exact)
        pf_format(how, sizeof how, " of equal bytes");
    else
        pf_format(how, sizeof how, "%s, similarity %.4f", group->by_pixels ? ", by pixels" : "",
                  (double)group->similarity);
    say(words, "  %s%s%lld images%s:", group->crosses_splits ? "leak, " : "",
        group->has_two_labels ? "two labels, " : "", (long long)group->count, how);
    for (int64_t m = 0; m < shown(words, group->count); m++) {
        int32_t row = found->members[group->first + m];
        const PfRows *rows = words->rows;
        pf_print(words->stream, "    %s%s%s%s%s\n",
                 rows->has_splits ? pf_split_names[rows->splits[row]] : "",
                 rows->has_splits ? "  " : "",
                 group->has_two_labels ? class_of(words, rows->labels[row]) : "",
                 group->has_two_labels ? "  " : "", name_of(words, row, name));
    }
    say_rest(words, group->count);
}

static void tell_duplicates(const Words *words, const PfDuplicates *found)
{
    if (!is_done(words, "Duplicates", &found->status)) return;
    char pixels[40] = "";
    if (found->pixel_groups)
        snprintf(pixels, sizeof pixels, ", %lld by pixels alone", (long long)found->pixel_groups);
    if (!found->group_count)
        say(words, "Duplicates: none.");
    else
        say(words,
            "Duplicates: %lld group%s of %lld images; %lld of equal bytes, %lld across splits, "
            "%lld under two labels%s.",
            (long long)found->group_count, plural(found->group_count),
            (long long)found->member_count, (long long)found->exact_groups,
            (long long)found->leak_groups, (long long)found->two_label_groups, pixels);
    if (found->threshold_given)
        say(words, "  Images count as duplicates from a similarity of %.4f on, as asked.",
            found->threshold);
    else if (isnan(found->dimension))
        say(words,
            "  Images count as duplicates from a similarity of %.4f on: the most "
            "careful threshold, as too few distances are known to choose one by.",
            found->threshold);
    else
        say(words,
            "  The image most like another one has usually a similarity of %.4f to it (1: equal). "
            "From %.4f on, which chance does not bring about, images count as duplicates.",
            found->typical, found->threshold);
    if (found->hashed_rows)
        say(words,
            "  So do images whose pixels are alike, compressed anew, resized or mirrored: by their "
            "hashes, which differ in %d of 64 bits at most.",
            found->hash_bits);
    else
        say(words, "  Pixels were not compared, as the cache was made without hashes of them; "
                   "--pixels reads all images.");
    if (found->leak_groups)
        say(words, "  A leak is a copy in both train and val or test: it makes scores too good.");
    for (int64_t g = 0; g < shown(words, found->group_count); g++)
        tell_group(words, found, &found->groups[g]);
    say_rest(words, found->group_count);
}

static void tell_outliers(const Words *words, const PfOutliers *found)
{
    char name[PF_ROW_NAME_SIZE];
    if (!is_done(words, "Outliers", &found->status)) return;
    say(words,
        "Outliers: %lld image%s unlike all others: even the neighbour number %d is farther than "
        "%.4f away, where %.4f is usual (0: equal).",
        (long long)found->count, plural(found->count), found->k, found->threshold, found->typical);
    for (int64_t i = 0; i < shown(words, found->count); i++)
        pf_print(words->stream, "  %.4f  %s\n", (double)found->outliers[i].distance,
                 name_of(words, found->outliers[i].row, name));
    say_rest(words, found->count);
}

/* ---- labels ---- */

static void tell_label_errors(const Words *words, const PfLabelErrors *found)
{
    char name[PF_ROW_NAME_SIZE], judge[80];
    if (!is_done(words, "Labels", &found->status)) return;
    if (found->folds)
        pf_format(judge, sizeof judge, "heads that had not seen the image (%d folds)",
                  found->folds);
    else
        pf_format(judge, sizeof judge, "the model");
    say(words,
        "Labels: %lld of %lld are probably wrong, by %" PF_SENTENCE
        ", right on %.1f %% of the images. The most certain ones come first.",
        (long long)found->count, (long long)found->rows, judge, 100 * found->accuracy);
    if (found->count && found->accuracy < WEAK_JUDGE)
        say(words, "  Who is wrong that often names many labels that are right: trust the first "
                   "ones only.");
    for (int64_t i = 0; i < shown(words, found->count); i++) {
        const PfLabelError *error = &found->errors[i];
        const bool has_neighbours = error->knn_label >= 0;
        say(words, "  '%s', rather '%s' (%.3f : %.3f%s%s%s)", class_of(words, error->given),
            class_of(words, error->suggested), (double)error->self_confidence,
            (double)error->suggested_probability, has_neighbours ? "; neighbours: '" : "",
            has_neighbours ? class_of(words, error->knn_label) : "", has_neighbours ? "'" : "");
        pf_print(words->stream, "    %s\n", name_of(words, error->row, name));
    }
    say_rest(words, found->count);
}

static void tell_next(const Words *words, const PfNextLabels *found)
{
    char name[PF_ROW_NAME_SIZE];
    if (!is_done(words, "Labelling", &found->status)) return;
    say(words, "To label next: %lld of %lld images without a label, the first of them",
        (long long)found->count, (long long)found->unlabelled);
    for (int64_t i = 0; i < shown(words, found->count); i++)
        pf_print(words->stream, "  uncertainty %.3f, distance %.4f  %s\n",
                 (double)found->rows[i].uncertainty, (double)found->rows[i].distance,
                 name_of(words, found->rows[i].row, name));
    say_rest(words, found->count);
}

/* ---- what features are good for ---- */

static void tell_knn(const Words *words, const PfKnnScores *found, const char *what)
{
    if (!is_done(words, what, &found->status)) return;
    say(words,
        "%s: without any training, the k nearest images name the class; right on %lld %s:", what,
        (long long)found->scores[0].count,
        found->leave_one_out ? "train images, each by the others"
                             : "val and test images, by the train images");
    for (int s = 0; s < found->count; s++)
        say(words, "  k = %3d  %.4f (95 %%: %.4f to %.4f)", found->scores[s].k,
            found->scores[s].accuracy, found->scores[s].interval.low,
            found->scores[s].interval.high);
}

static void tell_few_shot(const Words *words, const PfFewShot *found)
{
    if (!is_done(words, "Few images", &found->status)) return;
    say(words,
        "Few images: accuracy on %lld images of a head that learned from so many images of each "
        "class; mean of %d draw%s (lowest to highest):",
        (long long)found->test_rows, found->seeds, plural(found->seeds));
    for (int p = 0; p < found->count; p++)
        say(words, "  %6d  %.4f (%.4f to %.4f)", found->points[p].shots, found->points[p].mean,
            found->points[p].low, found->points[p].high);
    if (found->count < 2) return;
    double rise = found->points[found->count - 1].mean - found->points[found->count - 2].mean;
    if (rise > WORTH_LABELLING)
        say(words, "  It still rises at the end: more labelled images would help.");
    else
        say(words, "  It hardly rises at the end: more images of this kind would help little.");
}

static void tell_odd(const Words *words, const PfOddImages *found)
{
    char name[PF_ROW_NAME_SIZE];
    if (!is_done(words, "Pixels", &found->status)) return;
    say(words, "Pixels: %lld odd image%s.", (long long)found->count, plural(found->count));
    if (found->unreadable && found->from_cache)
        say(words, "  Of %lld image%s the cache does not say it (--pixels reads the images).",
            (long long)found->unreadable, plural(found->unreadable));
    else if (found->unreadable)
        say(words, "  %lld image%s could not be read, or have changed since.",
            (long long)found->unreadable, plural(found->unreadable));
    for (int o = 0; o < PF_ODDITY_COUNT; o++) {
        if (!found->counts[o]) continue;
        say(words, "  %lld %s", (long long)found->counts[o], pf_oddity_names[o]);
        int64_t told = 0;
        for (int64_t i = 0; i < found->count && told < words->options->most; i++)
            if (found->images[i].oddities & 1u << o && ++told)
                pf_print(words->stream, "    %s\n", name_of(words, found->images[i].row, name));
        say_rest(words, found->counts[o]);
    }
}

/* ---- models, nearest images ---- */

static void tell_models(const Words *words, const PfModelComparison *found)
{
    if (!is_done(words, "Models", &found->status)) return;
    say(words, "Models on %lld %s images%s:", (long long)found->rows, found->split,
        found->may_be_learned ? " (a model may have learned from some of them)" : "");
    for (int m = 0; m < found->model_count; m++) {
        const PfComparedModel *model = &found->models[m];
        char number[32];
        snprintf(number, sizeof number, "model %d", m + 1);
        say(words, "  %d  accuracy %.4f (95 %%: %.4f to %.4f), log loss %.4f  %s", m + 1,
            model->accuracy, model->interval.low, model->interval.high, model->log_loss,
            words->options->anonymous ? number : model->path);
    }
    for (int p = 0; p < found->pair_count; p++) {
        const PfComparedPair *pair = &found->pairs[p];
        say(words,
            "  %d against %d: %+.4f (95 %%: %+.4f to %+.4f); only one is right on %lld and "
            "%lld images, McNemar p = %.3g: %s",
            pair->a + 1, pair->b + 1, pair->difference, pair->interval.low, pair->interval.high,
            (long long)pair->only_a, (long long)pair->only_b, pair->p,
            pair->p < 0.05 ? "hardly chance" : "may be chance");
    }
}

static void tell_near(const Words *words, const PfNearImages *found)
{
    char name[PF_ROW_NAME_SIZE];
    if (!found->status.done) return;
    pf_print(words->stream, "Nearest to %s:\n",
             words->options->anonymous ? "the given one" : found->image);
    for (int64_t i = 0; i < found->count; i++) {
        int32_t row = found->images[i].row;
        pf_print(words->stream, "  %.4f  %s%s%s\n", (double)found->images[i].similarity,
                 words->rows->labels ? class_of(words, words->rows->labels[row]) : "",
                 words->rows->labels ? "  " : "", name_of(words, row, name));
    }
}

/* What to do about it. */
static void tell_ways(const Words *words, const PfFindings *findings)
{
    const PfInspectOptions *options = words->options;
    bool has_images = findings->duplicates.group_count || findings->labels.count ||
                      findings->outliers.count || findings->odd.count;
    if (!has_images || options->csv || options->output || options->json) return;
    say(words, "To see these images, add -o page.html. To leave some out, add --csv found.csv, "
               "take out of that file the lines of all that shall stay, and run extract again with "
               "--exclude found.csv.");
}

static void tell_map(const Words *words, const PfMap *map)
{
    const PfInspectOptions *options = words->options;
    if (!map->positions) {
        say(words, "Map: not drawn, as %" PF_SENTENCE ".", map->reason);
        return;
    }
    say(words, "Map: places of %lld images by t-SNE, trustworthiness %.3f (k = %d).%s",
        (long long)map->placed, map->trustworthiness, PF_MAP_TRUSTED_NEIGHBOURS,
        options->json || options->output || options->export_folder
            ? ""
            : " Add -o page.html to see it, --json FILE or --export DIR to have the numbers.");
}

void pf_words_findings(FILE *stream, const PfInspectOptions *options, const PfRows *rows,
                       const PfFindings *findings, const PfMap *map)
{
    Words words = begin_words(stream, options, rows);
    tell_neighbours(&words, &findings->neighbours);
    tell_near(&words, &findings->near);
    tell_features(&words, &findings->features);
    tell_classes(&words, &findings->classes);
    tell_duplicates(&words, &findings->duplicates);
    tell_label_errors(&words, &findings->labels);
    tell_outliers(&words, &findings->outliers);
    tell_odd(&words, &findings->odd);
    tell_knn(&words, &findings->knn, "Neighbours");
    if (findings->knn_held_out.status.done) tell_knn(&words, &findings->knn_held_out, "Neighbours");
    tell_few_shot(&words, &findings->few_shot);
    tell_next(&words, &findings->next);
    tell_models(&words, &findings->models);
    if (options->map) tell_map(&words, map);
    tell_ways(&words, findings);
}
