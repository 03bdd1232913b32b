#include "common/fetch/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/fetch/curl_library.h"

#define MOST_REDIRECTIONS 10
#define STALL_SECONDS 30
#define MOST_IGNORED ((int64_t)1 << 20) /* bytes of a body that nobody wants */

/* One request, and where it has come to. */
typedef struct Exchange {
    const PfHttpRequest *request;
    PfHttpResponse *response;
    PfError *err;
    CURL *curl;
    struct curl_slist *headers;
    char *shown; /* the address in messages */
    char *next;  /* where a redirection leads; owned */
    bool has_begun, has_failed;
    bool has_enough; /* of `most` bytes: the rest of the body is left where it is */
    int64_t taken, ignored;
    char problem[1024]; /* how a body that is no file begins */
    char reason[CURL_ERROR_SIZE];
} Exchange;

int pf_http_wait(int tries, const volatile sig_atomic_t *interrupted, PfError *err)
{
    const struct timespec moment = {0, 50 * 1000 * 1000};
    for (int i = 0; i < 5 << (tries - 1); i++) {
        if (interrupted && *interrupted) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        nanosleep(&moment, NULL);
    }
    return 0;
}

/* ---- what the server says ---- */

static void reset(PfHttpResponse *response)
{
    response->status = 0;
    response->is_weak = false;
    *response->etag = *response->reason = *response->modified = *response->region = '\0';
    response->length = response->first = response->total = -1;
}

/* The value of a header, without blanks around it, where the line has that name. */
static bool read_header(const char *line, size_t size, const char *name,
                        char value[PF_HTTP_TEXT_SIZE])
{
    const size_t length = strlen(name);
    if (size <= length || strncasecmp(line, name, length) || line[length] != ':') return false;
    const char *from = line + length + 1, *end = line + size;
    while (from < end && strchr(" \t", *from)) from++;
    while (end > from && strchr(" \t\r\n", end[-1])) end--;
    const bool fits = end - from < PF_HTTP_TEXT_SIZE && !memchr(from, 0, (size_t)(end - from));
    snprintf(value, PF_HTTP_TEXT_SIZE, "%.*s", fits ? (int)(end - from) : 0, from);
    return true;
}

/* W/"abc" becomes abc. */
static bool unquote(char *etag)
{
    const bool is_weak = !strncmp(etag, "W/", 2);
    char *from = etag + 2 * is_weak;
    size_t size = strlen(from);
    if (size >= 2 && *from == '"' && from[size - 1] == '"') {
        from++;
        size -= 2;
    }
    memmove(etag, from, size);
    etag[size] = '\0';
    return is_weak;
}

static int64_t read_size(const char *text, size_t size)
{
    long long value;
    return pf_options_read_long(text, size, &value) || value < 0 ? -1 : value;
}

/* "bytes 100-199/200", "bytes *" "/200" */
static void read_range(PfHttpResponse *response, const char *text)
{
    const char *slash = strchr(text, '/');
    if (strncmp(text, "bytes ", 6) || !slash) return;
    text += 6;
    response->first = read_size(text, strcspn(text, "-"));
    response->total = read_size(slash + 1, strlen(slash + 1));
}

static void read_line(PfHttpResponse *response, const char *line, size_t size)
{
    char value[PF_HTTP_TEXT_SIZE];
    if (size > 5 && !strncmp(line, "HTTP/", 5)) reset(response);
    if (read_header(line, size, "ETag", response->etag))
        response->is_weak = unquote(response->etag);
    else if (!*response->linked_etag &&
             read_header(line, size, "X-Linked-Etag", response->linked_etag))
        unquote(response->linked_etag);
    else if (!*response->commit && read_header(line, size, "X-Repo-Commit", response->commit))
        return;
    else if (read_header(line, size, "X-Error-Code", response->reason) ||
             read_header(line, size, "Last-Modified", response->modified) ||
             read_header(line, size, "x-amz-bucket-region", response->region))
        return;
    else if (read_header(line, size, "X-Linked-Size", value) && response->linked_size < 0)
        response->linked_size = read_size(value, strlen(value));
    else if (read_header(line, size, "Content-Length", value))
        response->length = read_size(value, strlen(value));
    else if (read_header(line, size, "Content-Range", value))
        read_range(response, value);
}

static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
    Exchange *exchange = context;
    read_line(exchange->response, bytes, one * size);
    return one * size;
}

/* Bodies that nobody wants end soon; how they begin says what S3 objects to. */
static size_t ignore(Exchange *exchange, const char *bytes, size_t size)
{
    const size_t known = strlen(exchange->problem);
    const size_t room = sizeof exchange->problem - 1 - known, taken = size < room ? size : room;
    if (!memchr(bytes, 0, taken)) {
        memcpy(exchange->problem + known, bytes, taken);
        exchange->problem[known + taken] = '\0';
    }
    exchange->ignored += (int64_t)size;
    return exchange->ignored > MOST_IGNORED ? 0 : size;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
    Exchange *exchange = context;
    const PfHttpRequest *request = exchange->request;
    size *= one;
    pf_curl.curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->response->status);
    const bool is_wanted = exchange->response->status == 200 || exchange->response->status == 206;
    if (!is_wanted || !request->take) return ignore(exchange, bytes, size);
    if (!exchange->has_begun && request->begin)
        exchange->has_failed =
            request->begin(request->context, exchange->response, exchange->err) != 0;
    exchange->has_begun = true;
    size_t wanted = size;
    if (request->most && (int64_t)wanted > request->most - exchange->taken)
        wanted = (size_t)(request->most - exchange->taken);
    exchange->has_enough = wanted < size;
    exchange->taken += (int64_t)wanted;
    if (!exchange->has_failed)
        exchange->has_failed = request->take(request->context, bytes, wanted, exchange->err) != 0;
    return exchange->has_failed || exchange->has_enough ? 0 : size;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const Exchange *exchange = context;
    (void)a, (void)b, (void)c, (void)d;
    return exchange->request->interrupted && *exchange->request->interrupted;
}

/* ---- what is asked ---- */

static int add_header(Exchange *exchange, const char *text, PfError *err)
{
    struct curl_slist *longer = pf_curl.curl_slist_append(exchange->headers, text);
    if (!longer) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    exchange->headers = longer;
    return 0;
}

/* curl 7.88 signs all headers that are added here, and does not add the one that S3 wants to see:
 * the hash of the body, of which there is none. Later versions take it from here as well. */
#define EMPTY_BODY                                                                                 \
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static int add_signature(Exchange *exchange, const PfHttpSigner *signer, PfError *err)
{
    char *scope = pf_asprintf(err, "aws:amz:%s:s3", signer->region);
    char *session =
        signer->session ? pf_asprintf(err, "x-amz-security-token: %s", signer->session) : NULL;
    int failed = !scope || (signer->session && !session) || add_header(exchange, EMPTY_BODY, err) ||
                 (session && add_header(exchange, session, err));
    if (!failed && (pf_curl.curl_easy_setopt(exchange->curl, CURLOPT_AWS_SIGV4, scope) ||
                    pf_curl.curl_easy_setopt(exchange->curl, CURLOPT_USERNAME, signer->key) ||
                    pf_curl.curl_easy_setopt(exchange->curl, CURLOPT_PASSWORD, signer->secret)))
        failed = pf_fail(err, PF_EXIT_FAILED, "this libcurl cannot sign requests of S3");
    free(scope);
    free(session);
    return failed ? -1 : 0;
}

static void remove_signature(CURL *curl)
{
    pf_curl.curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, NULL);
    pf_curl.curl_easy_setopt(curl, CURLOPT_USERNAME, NULL);
    pf_curl.curl_easy_setopt(curl, CURLOPT_PASSWORD, NULL);
    pf_curl.curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
}

/* "If-Range: ...", malloc'ed; NULL: without, or with a failure in err. */
static char *make_condition(const PfHttpRequest *request, PfError *err)
{
    if (request->from <= 0) return NULL;
    if (request->if_range) return pf_asprintf(err, "If-Range: \"%s\"", request->if_range);
    if (request->if_range_date) return pf_asprintf(err, "If-Range: %s", request->if_range_date);
    return NULL;
}

/* is_own: it is the first address's host, which may see who asks. */
static int set_headers(Exchange *exchange, bool is_own, PfError *err)
{
    const PfHttpRequest *request = exchange->request;
    const bool has_token = is_own && request->token;
    const bool has_condition = request->from > 0 && (request->if_range || request->if_range_date);
    pf_curl.curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    char *token = has_token ? pf_asprintf(err, "Authorization: Bearer %s", request->token) : NULL;
    char *condition = make_condition(request, err);
    int failed = (has_token && !token) || (has_condition && !condition) ||
                 add_header(exchange, "Accept-Encoding: identity", err) ||
                 (token && add_header(exchange, token, err)) ||
                 (condition && add_header(exchange, condition, err));
    remove_signature(exchange->curl);
    if (!failed && is_own && request->signer)
        failed = add_signature(exchange, request->signer, err);
    pf_curl.curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
    free(token);
    free(condition);
    return failed ? -1 : 0;
}

/* Of a connection on which nothing comes: that of the hub's libraries, where it is set. */
static long stall_seconds(void)
{
    const char *text = getenv("HF_HUB_DOWNLOAD_TIMEOUT");
    long long seconds;
    if (!text || pf_options_read_long(text, strlen(text), &seconds) || seconds < 1 ||
        seconds > 86400)
        return STALL_SECONDS;
    return (long)seconds;
}

/* Certificates where curl and OpenSSL are told to look for them. */
static void set_certificates(CURL *curl)
{
    const char *file = getenv("CURL_CA_BUNDLE");
    if (!file || !*file) file = getenv("SSL_CERT_FILE");
    if (file && *file) pf_curl.curl_easy_setopt(curl, CURLOPT_CAINFO, file);
    pf_curl.curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
}

static bool is_http(const char *url)
{
    return !strncasecmp(url, "http://", 7);
}

static bool is_https(const char *url)
{
    return !strncasecmp(url, "https://", 8);
}

static int set_up(Exchange *exchange, PfError *err)
{
    const PfHttpRequest *request = exchange->request;
    CURL *curl = exchange->curl;
    const char *protocols = is_http(request->url) ? "http,https" : "https";
    if (!is_http(request->url) && !is_https(request->url))
        return pf_fail(err, PF_EXIT_FAILED, "'%s': expected an address of https://",
                       exchange->shown);
    if (request->from > 0 || request->most > 0) {
        char range[64];
        snprintf(range, sizeof range, request->most ? "0-%lld" : "%lld-",
                 (long long)(request->most ? request->most - 1 : request->from));
        pf_curl.curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
    if (pf_curl.curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols))
        return pf_fail(err, PF_EXIT_FAILED, "this libcurl cannot fetch by %s", protocols);
    set_certificates(curl);
    pf_curl.curl_easy_setopt(curl, CURLOPT_USERAGENT, "permafrost/" PF_VERSION);
    pf_curl.curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_NOBODY, request->is_head ? 1L : 0L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, stall_seconds());
    pf_curl.curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall_seconds());
    pf_curl.curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->reason);
    pf_curl.curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    pf_curl.curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    pf_curl.curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    pf_curl.curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    pf_curl.curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    pf_curl.curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    pf_curl.curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    return 0;
}

/* ---- how it ends ---- */

static bool may_be_better(CURLcode code)
{
    static const CURLcode codes[] = {
        CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
        CURLE_OPERATION_TIMEDOUT,   CURLE_PARTIAL_FILE,          CURLE_RECV_ERROR,
        CURLE_SEND_ERROR,           CURLE_GOT_NOTHING,           CURLE_HTTP2,
        CURLE_HTTP2_STREAM,         CURLE_SSL_CONNECT_ERROR};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (code == codes[i]) return true;
    return false;
}

/* As where there is no network, or only one with a proxy. */
static bool is_offline(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_COULDNT_CONNECT;
}

static PfHttpOutcome fail(const Exchange *exchange, CURLcode code, PfError *err)
{
    if (exchange->has_failed) return PF_HTTP_REFUSED; /* err says how */
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        return PF_HTTP_REFUSED;
    }
    pf_fail(err, PF_EXIT_FAILED, "%s: %s%s", exchange->shown,
            *exchange->reason ? exchange->reason : pf_curl.curl_easy_strerror(code),
            is_offline(code) ? ". Hint: is this machine online? https_proxy names a proxy; of a "
                               "file that was fetched elsewhere the path can be given instead"
                             : "");
    return may_be_better(code) ? PF_HTTP_BROKEN : PF_HTTP_REFUSED;
}

static bool is_redirection(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Scheme, host and port of an address: how long they are. */
static size_t origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static bool is_same_origin(const char *a, const char *b)
{
    const size_t length = origin_length(a);
    return length && length == origin_length(b) && !strncasecmp(a, b, length);
}

/* Notes in exchange->next where the redirection leads; NULL: it is none that is followed. */
static int find_next(Exchange *exchange, PfError *err)
{
    char *url = NULL;
    const PfHttpRequest *request = exchange->request;
    free(exchange->next);
    exchange->next = NULL;
    if (!is_redirection(exchange->response->status) ||
        (request->is_head && *exchange->response->linked_etag))
        return 0;
    pf_curl.curl_easy_getinfo(exchange->curl, CURLINFO_REDIRECT_URL, &url);
    if (!url) return 0;
    if (!is_https(url) && !(is_http(url) && is_http(request->url)))
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s: the server sends on to an address that is not https, which is not "
                       "followed",
                       exchange->shown);
    exchange->next = pf_strdup(url, err);
    return exchange->next ? 0 : -1;
}

/* What S3 calls its objection: "<Error><Code>NoSuchKey</Code>...". */
static void read_problem(Exchange *exchange)
{
    const char *code = strstr(exchange->problem, "<Code>");
    if (!code || *exchange->response->reason) return;
    code += strlen("<Code>");
    const size_t length = strcspn(code, "<");
    if (length < PF_HTTP_TEXT_SIZE)
        snprintf(exchange->response->reason, PF_HTTP_TEXT_SIZE, "%.*s", (int)length, code);
}

static PfHttpOutcome follow(Exchange *exchange, PfError *err)
{
    const char *url = exchange->request->url;
    bool is_own = true;
    for (int i = 0; i <= MOST_REDIRECTIONS; i++) {
        if (set_headers(exchange, is_own, err)) return PF_HTTP_REFUSED;
        reset(exchange->response);
        *exchange->problem = '\0';
        pf_curl.curl_easy_setopt(exchange->curl, CURLOPT_URL, url);
        CURLcode code = pf_curl.curl_easy_perform(exchange->curl);
        pf_curl.curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE,
                                  &exchange->response->status);
        if (exchange->has_enough) return PF_HTTP_ANSWERED;
        if (code) return fail(exchange, code, err);
        if (find_next(exchange, err)) return PF_HTTP_REFUSED;
        if (!exchange->next) return PF_HTTP_ANSWERED;
        url = exchange->next;
        is_own = is_own && is_same_origin(exchange->request->url, url);
    }
    pf_fail(err, PF_EXIT_FAILED, "%s: sent on more than %d times", exchange->shown,
            MOST_REDIRECTIONS);
    return PF_HTTP_REFUSED;
}

PfHttpOutcome pf_http_perform(const PfHttpRequest *request, PfHttpResponse *response, PfError *err)
{
    Exchange exchange = {.request = request, .response = response, .err = err};
    *response = (PfHttpResponse){.linked_size = -1};
    if (pf_curl_open(err)) return PF_HTTP_REFUSED;
    exchange.curl = pf_curl.curl_easy_init();
    exchange.shown = pf_address_shown(request->url, err);
    PfHttpOutcome outcome = PF_HTTP_REFUSED;
    if (!exchange.curl)
        pf_fail(err, PF_EXIT_FAILED, "out of memory");
    else if (exchange.shown && !set_up(&exchange, err))
        outcome = follow(&exchange, err);
    read_problem(&exchange);
    /* An empty file has no bytes that begin it. */
    const bool is_file = response->status == 200 || response->status == 206;
    if (outcome == PF_HTTP_ANSWERED && is_file && !exchange.has_begun && request->begin &&
        request->begin(request->context, response, err))
        outcome = PF_HTTP_REFUSED;
    pf_curl.curl_slist_free_all(exchange.headers);
    if (exchange.curl) pf_curl.curl_easy_cleanup(exchange.curl);
    free(exchange.shown);
    free(exchange.next);
    return outcome;
}
