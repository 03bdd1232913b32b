/* s3://BUCKET/KEY: where that is, and who asks for it, by the variables and files of Amazon's own
 * programs:
 *
 *     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *     AWS_REGION, AWS_DEFAULT_REGION
 *     AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL: another server; its addresses have the bucket in their
 *                                            path
 *     AWS_PROFILE, AWS_DEFAULT_PROFILE: a section of ~/.aws/credentials and ~/.aws/config, or of
 *                  AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE; "default"
 *
 * Variables come before files, and keys are taken together from one of them. No server is asked for
 * keys (as IAM's roles would want), and no program is run for them. Without keys requests are not
 * signed, which is enough for what everybody may read. */
#ifndef PF_COMMON_FETCH_S3_H
#define PF_COMMON_FETCH_S3_H

#include "common/fetch/http.h"

typedef struct PfS3 {
    char *key, *secret, *session; /* NULL: none */
    char *region;                 /* "us-east-1" where nobody says */
    char *endpoint;               /* "http://127.0.0.1:9000"; NULL: Amazon's */
    char *profile;
    PfHttpSigner signer; /* of these; signer.key NULL: requests are not signed */
} PfS3;

/* Fails where a profile that is asked for is not there, or its keys would have to be asked for.
 * Free it on failure too. */
int pf_s3_open(PfS3 *s3, PfError *err);
void pf_s3_free(PfS3 *s3);

/* "https://bucket.s3.eu-west-1.amazonaws.com/a%20key" of "s3://bucket/a key"; malloc'ed. */
char *pf_s3_url(const PfS3 *s3, const char *address, PfError *err);

/* ---- for this folder's files: aws_profile.c ---- */

/* What the section of a profile has under a name, in a file of `[section]` and `name = value`
 * lines; *value stays NULL where it has none, malloc'ed else. *found: whether the section is there.
 * A file that is not there has no sections. */
int pf_aws_profile_read(const char *file, const char *section, const char *name, char **value,
                        bool *found, PfError *err);

#endif
