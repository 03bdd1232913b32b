#include "common/fetch/s3.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/memory.h"

#define DEFAULT_REGION "us-east-1"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static const char *either(const char *first, const char *second)
{
    const char *value = variable(first);
    return value ? value : variable(second);
}

static int keep(char **out, const char *value, PfError *err)
{
    if (value) *out = pf_strdup(value, err);
    return value && !*out ? -1 : 0;
}

/* ---- files ---- */

/* ~/.aws/NAME, or what the variable says; NULL with err, or where there is no home. */
static char *file_of(const char *by, const char *name, PfError *err)
{
    const char *home = variable("HOME");
    if (variable(by)) return pf_strdup(variable(by), err);
    return pf_asprintf(err, "%s/.aws/%s", home ? home : "", name);
}

/* What the profile has in either file; *found grows true where one has the section. */
static int look_up(const PfS3 *s3, const char *name, char **value, bool *found, PfError *err)
{
    static const char *const files[][2] = {{"AWS_SHARED_CREDENTIALS_FILE", "credentials"},
                                           {"AWS_CONFIG_FILE", "config"}};
    *value = NULL;
    for (int i = 0; i < 2 && !*value; i++) {
        bool has_section = false;
        char *file = file_of(files[i][0], files[i][1], err);
        int failed =
            !file || pf_aws_profile_read(file, s3->profile, name, value, &has_section, err);
        free(file);
        if (failed) return -1;
        *found |= has_section;
    }
    return 0;
}

/* Keys that a server or a program would have to be asked for. */
static int check_other_ways(const PfS3 *s3, PfError *err)
{
    static const char *const ways[] = {"credential_process", "sso_session", "sso_start_url",
                                       "role_arn", "web_identity_token_file"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *value;
        bool found = false;
        if (look_up(s3, ways[i], &value, &found, err)) return -1;
        free(value);
        if (value)
            return pf_fail(
                err, PF_EXIT_FAILED,
                "the AWS profile '%s' has its keys by %s, which is not asked here. Hint: "
                "eval \"$(aws configure export-credentials --format env)\" puts them "
                "into variables",
                s3->profile, ways[i]);
    }
    return 0;
}

static int read_keys_of_profile(PfS3 *s3, PfError *err)
{
    bool found = false;
    if (look_up(s3, "aws_access_key_id", &s3->key, &found, err) ||
        look_up(s3, "aws_secret_access_key", &s3->secret, &found, err) ||
        look_up(s3, "aws_session_token", &s3->session, &found, err))
        return -1;
    if (!found && either("AWS_PROFILE", "AWS_DEFAULT_PROFILE"))
        return pf_fail(
            err, PF_EXIT_FAILED,
            "there is no AWS profile '%s', which AWS_PROFILE names, in ~/.aws/credentials "
            "or ~/.aws/config",
            s3->profile);
    if (s3->key && !s3->secret)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the AWS profile '%s' has an aws_access_key_id without an "
                       "aws_secret_access_key",
                       s3->profile);
    return s3->key ? 0 : check_other_ways(s3, err);
}

/* ---- all of it ---- */

static int read_keys(PfS3 *s3, PfError *err)
{
    const char *key = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
    if (!key && !secret) return read_keys_of_profile(s3, err);
    if (!key || !secret)
        return pf_fail(err, PF_EXIT_FAILED, "%s is set and %s is not: both are needed",
                       key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                       key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return keep(&s3->key, key, err) || keep(&s3->secret, secret, err) ||
                   keep(&s3->session, variable("AWS_SESSION_TOKEN"), err)
               ? -1
               : 0;
}

/* It goes into names of hosts, and into what is signed. */
static int check_region(const PfS3 *s3, PfError *err)
{
    if (!s3->region[strspn(s3->region, "abcdefghijklmnopqrstuvwxyz0123456789-")]) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' is no region of AWS, such as eu-west-1", s3->region);
}

static int read_place(PfS3 *s3, PfError *err)
{
    bool found = false;
    const char *region = either("AWS_REGION", "AWS_DEFAULT_REGION");
    const char *endpoint = either("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    if (keep(&s3->region, region, err) || keep(&s3->endpoint, endpoint, err) ||
        (!region && look_up(s3, "region", &s3->region, &found, err)) ||
        (!endpoint && look_up(s3, "endpoint_url", &s3->endpoint, &found, err)))
        return -1;
    if (!s3->region && keep(&s3->region, DEFAULT_REGION, err)) return -1;
    if (s3->endpoint && (!pf_address_is(s3->endpoint) || pf_address_is_s3(s3->endpoint)))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is no address of a server, as AWS_ENDPOINT_URL has it: expected "
                       "https://HOST or http://HOST",
                       s3->endpoint);
    return check_region(s3, err);
}

int pf_s3_open(PfS3 *s3, PfError *err)
{
    *s3 = (PfS3){0};
    const char *profile = either("AWS_PROFILE", "AWS_DEFAULT_PROFILE");
    if (keep(&s3->profile, profile ? profile : "default", err) || read_keys(s3, err) ||
        read_place(s3, err))
        return -1;
    s3->signer = (PfHttpSigner){s3->key, s3->secret, s3->session, s3->region};
    return 0;
}

void pf_s3_free(PfS3 *s3)
{
    free(s3->key);
    free(s3->secret);
    free(s3->session);
    free(s3->region);
    free(s3->endpoint);
    free(s3->profile);
    *s3 = (PfS3){0};
}

/* ---- addresses ---- */

/* All bytes but those that RFC 3986 does not reserve, and '/', as S3 signs paths. */
static char *encode(const char *key, PfError *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~/";
    static const char digits[] = "0123456789ABCDEF";
    char *out = pf_calloc(3 * strlen(key) + 1, 1, err), *to = out;
    for (; out && *key; key++) {
        if (strchr(plain, *key)) {
            *to++ = *key;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)*key >> 4];
        *to++ = digits[(unsigned char)*key & 15];
    }
    return out;
}

static bool is_bucket(const char *name, size_t length)
{
    return length >= 3 && length <= 63 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") >= length && name[0] != '.' &&
           name[0] != '-';
}

char *pf_s3_url(const PfS3 *s3, const char *address, PfError *err)
{
    const char *bucket = address + strlen("s3://");
    const int length = (int)strcspn(bucket, "/");
    if (!is_bucket(bucket, (size_t)length) || !bucket[length] || !bucket[length + 1]) {
        pf_fail(err, PF_EXIT_USAGE, "'%s': expected s3://BUCKET/KEY, as s3://photos/train-000.tar",
                address);
        return NULL;
    }
    char *key = encode(bucket + length + 1, err), *url = NULL;
    const char *domain = !strncmp(s3->region, "cn-", 3) ? "amazonaws.com.cn" : "amazonaws.com";
    const bool has_points =
        memchr(bucket, '.', (size_t)length) != NULL; /* no certificate is for it */
    if (key && s3->endpoint)
        url = pf_asprintf(err, "%s%s%.*s/%s", s3->endpoint,
                          s3->endpoint[strlen(s3->endpoint) - 1] == '/' ? "" : "/", length, bucket,
                          key);
    else if (key && has_points)
        url = pf_asprintf(err, "https://s3.%s.%s/%.*s/%s", s3->region, domain, length, bucket, key);
    else if (key)
        url = pf_asprintf(err, "https://%.*s.s3.%s.%s/%s", length, bucket, s3->region, domain, key);
    free(key);
    return url;
}
