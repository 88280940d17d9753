/* URLs compared and resolved by libcurl's own parser, so that what is judged is what is contacted. */
#include "io/hub_origin.h"

#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "io/json.h"

typedef struct origin {
    char *scheme, *host, *port;
} origin;

static bool parse_origin(const em__curl *curl, const char *url, origin *out)
{
    *out = (origin){0};
    CURLU *parts = curl->url();
    bool good = parts && curl->url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl->url_get(parts, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
                curl->url_get(parts, CURLUPART_HOST, &out->host, 0) == CURLUE_OK &&
                curl->url_get(parts, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    curl->url_cleanup(parts);
    return good;
}

static void free_origin(const em__curl *curl, origin *o)
{
    curl->free(o->scheme);
    curl->free(o->host);
    curl->free(o->port);
}

const char *em__url_shown(char out[EM__URL_SHOWN], const char *url)
{
    char plain[EM__URL_SHOWN];
    const size_t length = strcspn(url, "?#");
    if (length < sizeof plain) {
        memcpy(plain, url, length);
        plain[length] = '\0';
        url = plain;
    }
    return em__printable(out, EM__URL_SHOWN, url);
}

bool em__url_same_origin(const em__curl *curl, const char *a, const char *b)
{
    origin x, y;
    bool both = parse_origin(curl, a, &x);
    both = parse_origin(curl, b, &y) && both;
    bool same =
        both && strcasecmp(x.scheme, y.scheme) == 0 && strcasecmp(x.host, y.host) == 0 && strcmp(x.port, y.port) == 0;
    free_origin(curl, &x);
    free_origin(curl, &y);
    return same;
}

static bool is_loopback(const char *host)
{
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host);
}

typedef enum transport { REFUSED, SECURE, LOOPBACK } transport;

static transport transport_of(const em__curl *curl, const char *url)
{
    origin o;
    transport kind = REFUSED;
    if (parse_origin(curl, url, &o)) {
        if (strcasecmp(o.scheme, "https") == 0)
            kind = SECURE;
        else if (strcasecmp(o.scheme, "http") == 0 && is_loopback(o.host))
            kind = LOOPBACK;
    }
    free_origin(curl, &o);
    return kind;
}

bool em__url_is_loopback(const em__curl *curl, const char *url)
{
    return transport_of(curl, url) == LOOPBACK;
}

em_status em__url_allowed(const em__curl *curl, const char *endpoint, const char *url)
{
    char shown[EM__URL_SHOWN];
    transport kind = transport_of(curl, url);
    if (kind == SECURE || (kind == LOOPBACK && transport_of(curl, endpoint) == LOOPBACK))
        return EM_OK;
    return em__fail(EM_ERROR_NETWORK,
                    "%s: only https is spoken (and http on the loopback interface, when HF_ENDPOINT is there)",
                    em__url_shown(shown, url));
}

em_status em__url_resolve(const em__curl *curl, em__str *url, const char *location)
{
    char shown[EM__URL_SHOWN], *text = NULL;
    CURLU *parts = curl->url();
    em_status status = EM_OK;
    if (!parts || curl->url_set(parts, CURLUPART_URL, url->data, 0) != CURLUE_OK ||
        curl->url_set(parts, CURLUPART_URL, location, 0) != CURLUE_OK ||
        curl->url_get(parts, CURLUPART_URL, &text, 0) != CURLUE_OK)
        status = em__fail(EM_ERROR_NETWORK, "redirected to \"%s\", which is not a URL", em__url_shown(shown, location));
    if (status == EM_OK) {
        em__str_clear(url);
        status = em__str_add_text(url, text);
    }
    curl->free(text);
    curl->url_cleanup(parts);
    return status;
}
