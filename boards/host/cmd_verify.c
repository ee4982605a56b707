/* ossicle verify: is a file what it should be? SHA-256 by mbedTLS (FIPS 180-4). */
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/md.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "out.h"
#include "term.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX_CHARS (2 * DIGEST_BYTES)
#define CHUNK_BYTES (1u << 20)
#define MANIFEST_BYTES_MAX (16u << 20)

/* Feeds the whole file to the hash. */
static enum ossicle_status hash_file(int fd, const char *path, uint64_t total,
                                     mbedtls_md_context_t *hash, struct ossicle_error *error)
{
    static unsigned char chunk[CHUNK_BYTES];
    uint64_t done = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (osl_signal_caught() != 0) {
            return osl_fault(error, OSSICLE_ABORTED, "interrupted");
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return osl_fault(error, OSSICLE_IO, "%s: %s", path, strerror(errno));
        }
        if (got == 0) {
            break;
        }
        if (mbedtls_md_update(hash, chunk, (size_t)got) != 0) {
            return osl_fault(error, OSSICLE_IO, "%s: hashing failed", path);
        }
        done += (uint64_t)got;
        osl_progress("hashing", done, total);
    }
    osl_progress_end();
    return OSSICLE_OK;
}

static enum ossicle_status digest_of(const char *path, uint64_t *bytes_out,
                                     char hex_out[DIGEST_HEX_CHARS + 1],
                                     struct ossicle_error *error)
{
    unsigned char digest[DIGEST_BYTES];
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return osl_fault(error, OSSICLE_IO, "%s: %s", path, strerror(errno));
    }
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        return osl_fault(error, OSSICLE_IO, "%s: not a regular file", path);
    }
    mbedtls_md_context_t hash;
    mbedtls_md_init(&hash);
    enum ossicle_status status = OSSICLE_MEMORY;
    if (mbedtls_md_setup(&hash, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0) != 0 ||
        mbedtls_md_starts(&hash) != 0) {
        status = osl_fault(error, OSSICLE_MEMORY, "no memory for a hash");
    } else {
        status = hash_file(fd, path, (uint64_t)facts.st_size, &hash, error);
    }
    if (status == OSSICLE_OK && mbedtls_md_finish(&hash, digest) != 0) {
        status = osl_fault(error, OSSICLE_IO, "%s: hashing failed", path);
    }
    mbedtls_md_free(&hash);
    close(fd);
    for (int i = 0; status == OSSICLE_OK && i < DIGEST_BYTES; i++) {
        snprintf(hex_out + 2 * i, 3, "%02x", digest[i]);
    }
    *bytes_out = (uint64_t)facts.st_size;
    return status;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Checks one "<64 hex digits> [ *]<name>" line, as sha256sum writes it; blank lines and those
 * that start with '#' are passed over. */
static enum ossicle_status read_line(const char *manifest, uint32_t number, char *line,
                                     char **name_out, struct ossicle_error *error)
{
    *name_out = NULL;
    if (line[0] == '\0' || line[0] == '#') {
        return OSSICLE_OK;
    }
    if (strspn(line, "0123456789abcdefABCDEF") != DIGEST_HEX_CHARS ||
        line[DIGEST_HEX_CHARS] != ' ' || strchr(" *", line[DIGEST_HEX_CHARS + 1]) == NULL ||
        line[DIGEST_HEX_CHARS + 1] == '\0' || line[DIGEST_HEX_CHARS + 2] == '\0') {
        return osl_fault(error, OSSICLE_FORMAT,
                         "%s:%u: not a line of sha256sum ('<64 hex digits>  <name>')", manifest,
                         number);
    }
    line[DIGEST_HEX_CHARS] = '\0';
    *name_out = line + DIGEST_HEX_CHARS + 2;
    return OSSICLE_OK;
}

/* The digest the manifest gives for path: a line with the same path, else the same last part.
 * Every line is checked, also after the one looked for. */
static enum ossicle_status find_in_manifest(const char *manifest, const char *path,
                                            char hex_out[DIGEST_HEX_CHARS + 1],
                                            struct ossicle_error *error)
{
    struct osl_text text = {0};
    enum ossicle_status status = osl_text_read(manifest, MANIFEST_BYTES_MAX, &text, error);
    int found = 0; /* 1: the last part of the name, 2: the whole */
    uint32_t number = 0;
    char *rest = text.bytes;
    while (status == OSSICLE_OK && rest != NULL && *rest != '\0') {
        char *name;
        char *line = strsep(&rest, "\n");
        size_t length = strlen(line);
        if (length > 0 && line[length - 1] == '\r') {
            line[length - 1] = '\0';
        }
        status = read_line(manifest, ++number, line, &name, error);
        if (status != OSSICLE_OK || name == NULL) {
            continue;
        }
        int here = strcmp(name, path) == 0                         ? 2
                   : strcmp(base_name(name), base_name(path)) == 0 ? 1
                                                                   : 0;
        if (here > found) {
            found = here;
            memcpy(hex_out, line, DIGEST_HEX_CHARS + 1);
        }
    }
    osl_text_free(&text);
    if (status == OSSICLE_OK && found == 0) {
        return osl_fault(error, OSSICLE_ARGUMENT, "%s has no line for %s", manifest,
                         base_name(path));
    }
    return status;
}

static void report(const struct osl_args *args, const char *path, uint64_t bytes, const char *hex,
                   const char *expected)
{
    bool same = expected != NULL && strcasecmp(expected, hex) == 0;
    if (args->json) {
        osl_out_text("{\"file\": ");
        osl_out_json_text(path);
        osl_out_format(", \"bytes\": %llu, \"sha256\": \"%s\"", (unsigned long long)bytes, hex);
        if (expected != NULL) {
            osl_out_format(", \"expected\": \"%s\", \"ok\": %s", expected, same ? "true" : "false");
        }
        osl_out_text("}\n");
    } else if (expected == NULL) {
        osl_out_format("%s  ", hex);
        osl_out_text(path);
        osl_out_text("\n");
    } else {
        osl_out_text(path);
        osl_out_text(same ? ": OK\n" : ": FAILED\n");
    }
}

static enum ossicle_status run(const struct osl_args *args)
{
    struct ossicle_error error = {0};
    char hex[DIGEST_HEX_CHARS + 1] = "";
    char expected[DIGEST_HEX_CHARS + 1] = "";
    uint64_t bytes = 0;
    enum ossicle_status status = OSSICLE_OK;
    if (args->positional_count != 1) {
        osl_complain("which FILE? (see `ossicle verify --help`)");
        return OSSICLE_ARGUMENT;
    }
    const char *path = args->positionals[0];
    if (args->manifest != NULL) {
        status = find_in_manifest(args->manifest, path, expected, &error);
    }
    if (status == OSSICLE_OK) {
        status = digest_of(path, &bytes, hex, &error);
    }
    if (status != OSSICLE_OK) {
        osl_complain("%s", error.text);
        return status;
    }
    report(args, path, bytes, hex, args->manifest != NULL ? expected : NULL);
    if (args->manifest != NULL && strcasecmp(expected, hex) != 0) {
        osl_complain("%s is not the file of the manifest: SHA-256 is %s, should be %s; "
                     "fetch it again",
                     path, hex, expected);
        return OSSICLE_FORMAT;
    }
    return OSSICLE_OK;
}

const struct osl_command osl_cmd_verify = {
    .name = "verify",
    .bit = OSL_CMD_VERIFY,
    .positionals_max = 1,
    .usage = "verify FILE [--manifest F] [--json]",
    .summary = "a file's SHA-256, compared with a manifest",
    .help = "Prints the SHA-256 of FILE as sha256sum does. With --manifest, looks FILE up in a "
            "list that\n"
            "sha256sum made (by path, else by the last part of its name) and says OK or FAILED;\n"
            "a difference ends with exit code 4.\n",
    .run = run,
};
