#include "common/base/result_stamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/address.h"

static void put_word(FILE *stream, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./=,:+@%";
    if (*word && !word[strspn(word, plain)]) {
        fputs(word, stream);
        return;
    }
    fputc('\'', stream);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stream);
        else
            fputc(*word, stream);
    fputc('\'', stream);
}

char *pf_result_stamp_command(int argc, char **argv)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    bool failed = false;
    for (int i = 0; i < argc && !failed; i++) {
        char *word = pf_address_shown(argv[i], NULL);
        if (i) fputc(' ', stream);
        if (word) put_word(stream, word);
        failed = !word;
        free(word);
    }
    if (!fclose(stream) && !failed) return text;
    free(text);
    return NULL;
}

void pf_result_stamp_add(cJSON *json, int argc, char **argv, const char *runtime)
{
    char now[32];
    time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    char *command = pf_result_stamp_command(argc, argv);
    cJSON_AddNumberToObject(json, "schema_version", PF_RESULT_SCHEMA_VERSION);
    cJSON_AddStringToObject(json, "created", now);
    cJSON_AddStringToObject(json, "command", command ? command : "");
    cJSON *versions = cJSON_AddObjectToObject(json, "versions");
    cJSON_AddStringToObject(versions, "permafrost", PF_VERSION);
    if (runtime) cJSON_AddStringToObject(versions, "runtime", runtime);
    free(command);
}
