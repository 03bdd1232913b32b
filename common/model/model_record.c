#include "common/model/model_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/options.h"

/* The last second of the year 9999. */
#define LAST_SECOND 253402300799LL

static int now(time_t *seconds, PfError *err)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    long long value;
    *seconds = time(NULL);
    if (!fixed || !*fixed) return 0;
    if (pf_options_parse_long("SOURCE_DATE_EPOCH", fixed, 0, LAST_SECOND, &value, err)) return -1;
    *seconds = (time_t)value;
    return 0;
}

int pf_model_record_check(PfError *err)
{
    time_t seconds;
    return now(&seconds, err);
}

static void add_cache(cJSON *json, const PfModelRecord *record)
{
    static const char *const noted[][2] = {{"created", "date"},
                                           {"permafrost", "permafrost"},
                                           {"command", "command"},
                                           {"dataset", "dataset"},
                                           {"runtime", "runtime"}};
    char seal[PF_DIGEST_TEXT_SIZE];
    cJSON *cache = cJSON_AddObjectToObject(json, "cache");
    cJSON *provenance = pf_json_read(record->provenance);
    cJSON_AddStringToObject(cache, "path", record->cache_path);
    cJSON_AddNumberToObject(cache, "rows", (double)record->rows);
    if (record->seal) cJSON_AddStringToObject(cache, "seal", pf_digest_text(record->seal, seal));
    for (size_t i = 0; i < sizeof noted / sizeof *noted; i++) {
        const char *text = pf_json_member_text(provenance, noted[i][0]);
        if (text) cJSON_AddStringToObject(cache, noted[i][1], text);
    }
    cJSON_Delete(provenance);
}

cJSON *pf_model_record_new(const PfModelRecord *record, PfError *err)
{
    time_t seconds;
    struct tm utc;
    char date[32];
    if (now(&seconds, err)) return NULL;
    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "date", date);
    cJSON_AddStringToObject(json, "permafrost", PF_VERSION);
    cJSON_AddStringToObject(json, "command", record->command);
    add_cache(json, record);
    return json;
}
