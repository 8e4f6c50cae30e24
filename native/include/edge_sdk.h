/* edge_sdk.h - verify, enrol, identify and tell live faces from attacks, over the bundles of edge-sdk.
 *
 * The interface is C99. One session is one bundle, opened with one variant on one engine:
 *
 *     edge_options options = {.struct_size = sizeof options};
 *     edge_session *session = NULL;
 *     if (edge_open("deepsign", &options, &session) != EDGE_OK) return fail(edge_last_error());
 *
 *     edge_image reference = {.struct_size = sizeof reference}, query = {.struct_size = sizeof query};
 *     reference.data = ..., reference.length = ...;            (the bytes of a PNG or JPEG file)
 *     const edge_image *references[] = {&reference};
 *     edge_verification result = {.struct_size = sizeof result};
 *     if (edge_verify(session, references, 1, &query, &result) != EDGE_OK) return fail(edge_last_error());
 *     if (result.accepted) unlock();
 *     edge_close(session);
 *
 * Fail closed.  EDGE_OK says that a decision was made, not which: only `accepted`, `identified` and `decision` say
 * that. Every function that fails leaves its result rejected (`accepted` 0, `identified` 0, EDGE_UNCERTAIN), where its
 * struct_size is wrong, too, and its handle NULL. A score that is not finite is an error.
 *
 * Structs.  The first member of a struct is its size, which the caller sets, as above. Later versions of this header
 * add members at the end. A size that this library does not know is EDGE_ERROR_USAGE, so that no option is silently
 * ignored. Members that are 0 or NULL take the default, which each one names. A text that is empty is EDGE_ERROR_USAGE.
 *
 * Ownership.  A handle belongs to the caller, who frees it with the function named at its type; NULL is freed by doing
 * nothing. Handles do not depend on each other: a session keeps what it needs of the locator in its options, a gallery
 * what it needs of its templates. Pictures, paths and options are read during the call alone. Texts that a function
 * returns are never freed by the caller.
 *
 * Threads.  Threads may share sessions, templates and galleries; one at a time runs the network of a session. A handle
 * must not be freed while another thread uses it. edge_last_error() is the calling thread's own. After fork() a child
 * opens sessions of its own. The first edge_open() on ONNX Runtime sets ORT_DISABLE_TELEMETRY in the environment, unless
 * it is set: other threads must leave the environment alone meanwhile.
 *
 * Not here: gait, decisions over time, and bundles of several graphs. Opening such a bundle is EDGE_ERROR_UNSUPPORTED.
 */

#ifndef EDGE_SDK_H
#define EDGE_SDK_H

#include <stddef.h>
#include <stdint.h>

#if defined(EDGE_SDK_STATIC)
#define EDGE_API
#elif defined(_WIN32) && defined(EDGE_SDK_BUILD)
#define EDGE_API __declspec(dllexport)
#elif defined(_WIN32)
#define EDGE_API __declspec(dllimport)
#else
#define EDGE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ---- */

typedef int32_t edge_status;

enum {
    EDGE_OK = 0,                    /* done; what was decided is in the result */
    EDGE_ERROR_USAGE = 1,           /* a null pointer, a wrong struct_size, a value out of range, another task */
    EDGE_ERROR_BUNDLE = 2,          /* the bundle cannot be read, or is not what it should be: get it again */
    EDGE_ERROR_INTEGRITY = 3,       /* a file is missing, or its SHA-256 is another: get the bundle again */
    EDGE_ERROR_OPERATING_POINT = 4, /* no such operating point, or the data did not support it */
    EDGE_ERROR_ENGINE = 5,          /* no engine for the variant, it refused the model, or gave no numbers to score */
    EDGE_ERROR_SELFTEST = 6,        /* the golden trial scores otherwise: a changed bundle, or a miscounting device */
    EDGE_ERROR_INPUT = 7,           /* a picture that cannot be decoded or pre-processed */
    EDGE_ERROR_UNUSABLE_SAMPLE = 8, /* a picture that must not be enrolled; edge_last_error() names the flags */
    EDGE_ERROR_TEMPLATE = 9,        /* a template that is damaged, or of another space or variant */
    EDGE_ERROR_UNSUPPORTED = 10,    /* a sound bundle that this library cannot run, such as one of gait */
    EDGE_ERROR_BUFFER = 11,         /* the caller's buffer is too small; the length that is needed was written */
    EDGE_ERROR_MEMORY = 12,         /* no memory */
    EDGE_ERROR_INTERNAL = 13,       /* a fault of this library */
    EDGE_ERROR_SIGNATURE = 14,      /* no trusted key signed the bundle, or a signature does not belong to it */
    EDGE_ERROR_ROLLBACK = 15,       /* the bundle is older than it may be */
    EDGE_ERROR_TEMPLATE_KEY = 16    /* a template is encrypted, by another key or where none was given */
};

/* What went wrong in this thread's last call, in English, for a log. Never NULL; empty after a call that returned
 * EDGE_OK. Valid until the thread's next call. It names files, flags and ids of keys, and holds nothing of a
 * picture, template or key. */
EDGE_API const char *edge_last_error(void);

/* "EDGE_ERROR_USAGE" for EDGE_ERROR_USAGE; "unknown" for a number that is no status. Never NULL. */
EDGE_API const char *edge_status_name(edge_status status);

/* The version of the library, such as "0.1.0". */
EDGE_API const char *edge_version(void);

/* The engines in this library, separated by spaces: "onnxruntime", "tflite"; empty without any. */
EDGE_API const char *edge_engines(void);

/* ---- pictures ---- */

enum {
    EDGE_ENCODED = 0, /* the bytes of a PNG or baseline JPEG file; an EXIF orientation is applied */
    EDGE_GRAY8 = 1,   /* pixels, one byte a channel, rows from the top */
    EDGE_BGR8 = 2,
    EDGE_RGB8 = 3,
    EDGE_BGRA8 = 4, /* transparent pixels show white paper */
    EDGE_RGBA8 = 5
};

typedef struct edge_image {
    uint32_t struct_size; /* sizeof(edge_image) */
    int32_t format;       /* EDGE_ENCODED and its like */
    const uint8_t *data;  /* not changed, and not kept after the call */
    size_t length;        /* bytes at data, from 1; of pixels at least (height - 1) * stride + width * channels */
    int32_t width;        /* pixels, 1 to 16384; width * height up to 64,000,000. 0 for EDGE_ENCODED */
    int32_t height;
    size_t stride; /* bytes from one row to the next; 0: width * channels. 0 for EDGE_ENCODED */
} edge_image;

/* ---- quality flags ---- */

/* Bits of `flags` and `blocking`. What each one means: docs/preprocessing.md, "Quality flags". A picture with a flag
 * that is also in `blocking` is never accepted. */
#define EDGE_FLAG_EMPTY UINT64_C(0x1)
#define EDGE_FLAG_TOO_LITTLE_INK UINT64_C(0x2)
#define EDGE_FLAG_TOO_SMALL UINT64_C(0x4)
#define EDGE_FLAG_SEVERAL_REGIONS UINT64_C(0x8)
#define EDGE_FLAG_CLIPPED UINT64_C(0x10)
#define EDGE_FLAG_PRINTED_LINES UINT64_C(0x20)
#define EDGE_FLAG_THIN_STROKES UINT64_C(0x40)
#define EDGE_FLAG_UNFAMILIAR UINT64_C(0x80)
#define EDGE_FLAG_NO_FACE UINT64_C(0x100)
#define EDGE_FLAG_SEVERAL_FACES UINT64_C(0x200)
#define EDGE_FLAG_OTHER_FACES UINT64_C(0x400)
#define EDGE_FLAG_TOO_DARK UINT64_C(0x800)
#define EDGE_FLAG_OVEREXPOSED UINT64_C(0x1000)
#define EDGE_FLAG_FLAT UINT64_C(0x2000)
#define EDGE_FLAG_TILTED UINT64_C(0x4000)
#define EDGE_FLAG_CUT_OFF UINT64_C(0x8000)
#define EDGE_FLAG_TURNED_AWAY UINT64_C(0x10000)
#define EDGE_FLAG_BLURRED UINT64_C(0x20000)

/* The name of one flag as Python's results have it: "too_little_ink" for EDGE_FLAG_TOO_LITTLE_INK. NULL for what is no
 * single flag. */
EDGE_API const char *edge_flag_name(uint64_t flag);

/* ---- sessions ---- */

/* A bundle, opened. Freed by edge_close(). */
typedef struct edge_session edge_session;

enum {
    EDGE_FACES_LOCATE = 0, /* pictures are frames, in which `locator` finds the face */
    EDGE_FACES_CUT_OUT = 1 /* pictures are one face each, cut out or aligned as the manifest says */
};

typedef struct edge_options {
    uint32_t struct_size; /* sizeof(edge_options) */

    /* Threads of the engine, 1 to 64; 0: 1. */
    int32_t threads;

    /* The SHA-256 of the manifest, 64 hex digits, as `edge-sdk inspect` shows it: any other manifest is
     * EDGE_ERROR_INTEGRITY. It stands for the whole bundle, as the manifest names every file by its SHA-256. NULL: what
     * the bundle's own manifest.sha256 says, so whoever may write the bundle may change thresholds. */
    const char *manifest_sha256;

    /* Such as "int8.onnx". NULL: the first of int8.onnx, int8.tflite, fp32.onnx and fp32.tflite, then of all others,
     * that the bundle has and an engine in this library runs. */
    const char *variant;

    /* Such as "fmr_1e-2"; `edge-sdk inspect` lists them. NULL: the manifest's default point. Of the points of one name
     * that one decides which was measured with as many references as there are, or the most below. */
    const char *operating_point;

    /* A threshold of one's own, in place of an operating point: finite, within the range of the bundle's scores and
     * above its lower end. No error rate was measured at it. NULL: none. */
    const double *threshold;

    /* For bundles of faces, what their pictures are, EDGE_FACES_LOCATE or EDGE_FACES_CUT_OUT. Other bundles take
     * EDGE_FACES_LOCATE alone, and need no locator. */
    int32_t faces;

    /* Not 0: do not replay the golden trial while opening. It costs about one decision, and finds an engine that
     * computes the model wrongly and weights or scores that were changed together with their digests. */
    int32_t skip_selftest;

    /* A session of a bundle of task "locate", such as face_locator, for EDGE_FACES_LOCATE. It is kept as long as the
     * new session needs it: the caller may close it at once, and may share it among sessions. */
    const edge_session *locator;

    /* Of a locator: the longer side of the smallest face that counts, as a share of the picture's shorter side, in
     * (0, 1]. 0: 0.2. Refused for other bundles. */
    double smallest_face;

    /* Ed25519 public keys, 1 to 100, each the text of a PEM file. Only a bundle that one of them signed is opened
     * (`edge-sdk sign`); another one is EDGE_ERROR_SIGNATURE. A library without OpenSSL needs verify_ed25519 for them,
     * else it opens none: EDGE_ERROR_UNSUPPORTED. NULL and 0: no signature is asked for. */
    const char *const *public_keys;
    size_t public_key_count;

    /* The least version of the bundle, such as "1.2.0", by Semantic Versioning; an older one is EDGE_ERROR_ROLLBACK.
     * NULL: any. */
    const char *minimum_version;

    /* Verifies an Ed25519 signature (RFC 8032, neither Ed25519ctx nor Ed25519ph) in place of OpenSSL, such as by the
     * platform's own cryptography: it returns 1 if the signature is right. Anything else is a refusal,
     * EDGE_ERROR_SIGNATURE. edge_open() calls it in its own thread, once for each signature by one of public_keys, and
     * keeps no pointer afterwards. It must return: no exception, no longjmp. NULL: OpenSSL. Only with public_keys. */
    int32_t (*verify_ed25519)(void *context, const uint8_t public_key[32], const uint8_t signature[64],
                              const uint8_t *message, size_t length);
    void *verify_context; /* what verify_ed25519 receives as `context` */
} edge_options;

/* Open a bundle.
 *
 * path: UTF-8, the folder of the bundle or its .edge file, such as `edge-sdk slice deepsign --format onnx --out
 * deepsign.edge` writes. Leave it where it is until the session is closed: the golden trial is read when it is replayed.
 * options: NULL for the defaults.
 * session: receives the handle; NULL after an error.
 *
 * EDGE_ERROR_BUNDLE, EDGE_ERROR_INTEGRITY, EDGE_ERROR_SIGNATURE, EDGE_ERROR_ROLLBACK, EDGE_ERROR_UNSUPPORTED: of the
 * bundle. EDGE_ERROR_BUNDLE, too: it has no such variant.
 * EDGE_ERROR_OPERATING_POINT: no such point, or none by default: name one.
 * EDGE_ERROR_ENGINE: no engine in this library runs the variant, or it refuses the model.
 * EDGE_ERROR_SELFTEST: the golden trial has another score than the manifest says.
 * EDGE_ERROR_USAGE: options that do not go together, such as faces to be located without a locator. */
EDGE_API edge_status edge_open(const char *path, const edge_options *options, edge_session **session);

/* Free a session. */
EDGE_API void edge_close(edge_session *session);

enum { EDGE_TASK_VERIFY = 1, EDGE_TASK_SPOOF = 2, EDGE_TASK_LOCATE = 3 };

typedef struct edge_info {
    uint32_t struct_size;       /* sizeof(edge_info) */
    int32_t task;               /* EDGE_TASK_VERIFY and its like */
    const char *name;           /* of the bundle; this text and the next ones are the session's, until it is closed */
    const char *version;        /* of the bundle */
    const char *modality;       /* "signature" or "face" */
    const char *variant;        /* "int8.onnx" */
    const char *engine;         /* "onnxruntime" or "tflite" */
    const char *operating_point; /* its name, "custom" for a threshold of one's own */
    const char *manifest_sha256; /* 64 hex digits: what edge_options.manifest_sha256 may ask for */
    double threshold;           /* for one reference, or the fewest that there are */
} edge_info;

/* What was opened. EDGE_ERROR_USAGE: a null pointer or a wrong struct_size. */
EDGE_API edge_status edge_describe(const edge_session *session, edge_info *info);

typedef struct edge_replay {
    uint32_t struct_size; /* sizeof(edge_replay) */
    int32_t passed;       /* 1: |score - expected| <= tolerance */
    double score;
    double expected;
    double tolerance;
} edge_replay;

/* Replay the bundle's golden trial: does this device, with this engine, compute what the bundle promises?
 *
 * A score that differs is no error: `passed` is 0. EDGE_ERROR_BUNDLE: there is no golden trial for the variant.
 * EDGE_ERROR_INTEGRITY, EDGE_ERROR_ENGINE: it cannot be replayed. */
EDGE_API edge_status edge_selftest(const edge_session *session, edge_replay *replay);

/* ---- verify ---- */

/* Enrolled references of one person. Freed by edge_template_free(). */
typedef struct edge_template edge_template;

typedef struct edge_verification {
    uint32_t struct_size; /* sizeof(edge_verification) */
    int32_t accepted;     /* 1: one person; else 0 */
    double score;         /* in [0, 1], higher is more genuine; 0 if a flag blocks */
    double raw_score;     /* the same in the model's own unit: a distance, or a log-likelihood ratio */
    double threshold;     /* accepted if and only if no flag blocks and score >= threshold */
    uint64_t flags;       /* of all pictures, EDGE_FLAG_... */
    uint64_t blocking;    /* those of them that forbid to accept */
    int32_t references;   /* with how many the threshold was measured; 0 for a threshold of one's own */
    int32_t reserved;     /* 0 */
} edge_verification;

/* Is the query by the person of the references?
 *
 * references: `count` pictures of one person, from 1 to 500. More than one are compared as a template of them would be.
 * result: filled if the status is EDGE_OK, else rejected.
 *
 * EDGE_ERROR_USAGE: null pointers, a wrong struct_size, a session of another task.
 * EDGE_ERROR_INPUT: a picture cannot be decoded. EDGE_ERROR_ENGINE: the engine failed, or gave no embedding. */
EDGE_API edge_status edge_verify(const edge_session *session, const edge_image *const *references, size_t count,
                                 const edge_image *query, edge_verification *result);

/* Is the query by the person of the template?
 *
 * Errors of edge_verify(), and EDGE_ERROR_TEMPLATE: it is of another kind, embedding space or variant. */
EDGE_API edge_status edge_verify_template(const edge_session *session, const edge_template *enrolled,
                                          const edge_image *query, edge_verification *result);

/* ---- enrol ---- */

/* Make a template of one person's references, 1 to 500 pictures, each of which must be fit to be enrolled.
 *
 * enrolled: receives the handle; NULL after an error.
 *
 * EDGE_ERROR_UNUSABLE_SAMPLE: a picture has a flag that blocks, or one with which a face must not be enrolled
 * (other_faces, turned_away, a small or blurred face). Other errors: those of edge_verify(). */
EDGE_API edge_status edge_enroll(const edge_session *session, const edge_image *const *references, size_t count,
                                 edge_template **enrolled);

/* Read a template as edge-sdk writes it in plain: edge_template_to_bytes(), or Python's save(path, plain=True). Whoever
 * can write the bytes can have made them.
 *
 * length: up to 16 MiB. EDGE_ERROR_TEMPLATE: damaged, of another version or kind, with numbers that no network gives
 * (not finite, all zero), or of counts that no enrolment and update give. What it is bound to is checked where it is
 * used. EDGE_ERROR_TEMPLATE_KEY: it is encrypted. */
EDGE_API edge_status edge_template_from_bytes(const void *data, size_t length, edge_template **enrolled);

/* Write a template in plain; Python's Template.load(path, plain=True) reads it. Equal templates give equal bytes. They
 * are biometric data: encrypt what is kept, by edge_template_encrypt() or with a key of the platform's key store.
 *
 * buffer, capacity: NULL and 0 ask for the length alone, which is EDGE_OK.
 * length: receives how many bytes there are. EDGE_ERROR_BUFFER: capacity is below it; nothing was written. */
EDGE_API edge_status edge_template_to_bytes(const edge_template *enrolled, void *buffer, size_t capacity,
                                            size_t *length);

/* Write a template, encrypted by AES-256-GCM with a new nonce; Python's Template.load(path, key=KEY) reads it.
 * One that has no id gets one in what is written. One key may encrypt 2^32 templates.
 *
 * key, key_length: 32 random bytes, which the application keeps, such as under the platform's key store.
 * buffer, capacity, length: as edge_template_to_bytes(); equal templates have equal lengths.
 *
 * EDGE_ERROR_UNSUPPORTED: the library was built without OpenSSL. */
EDGE_API edge_status edge_template_encrypt(const edge_template *enrolled, const void *key, size_t key_length,
                                           void *buffer, size_t capacity, size_t *length);

/* Read a template that this key encrypted: edge_template_encrypt(), or Python's save(path, key=KEY). The key opens all
 * that it encrypted, and a template does not say whose it is: keep edge_template_id() beside each person's account, and
 * compare it.
 *
 * EDGE_ERROR_TEMPLATE: any byte was changed, it is plain, so that anybody can have made it, or what
 * edge_template_from_bytes() refuses. EDGE_ERROR_TEMPLATE_KEY: it is encrypted by another key.
 * EDGE_ERROR_UNSUPPORTED: the library was built without OpenSSL. */
EDGE_API edge_status edge_template_decrypt(const void *data, size_t length, const void *key, size_t key_length,
                                           edge_template **enrolled);

/* Of how many references it was made; 0 for NULL. */
EDGE_API size_t edge_template_references(const edge_template *enrolled);

/* Its id, 32 random hex digits, by which an application revokes it: the library compares with a revoked template too,
 * so ask before. Empty of a template that was enrolled before there were ids, and of NULL. Valid until the template is
 * freed. */
EDGE_API const char *edge_template_id(const edge_template *enrolled);

/* Free a template. */
EDGE_API void edge_template_free(edge_template *enrolled);

/* ---- identify ---- */

/* Whom to search among. Freed by edge_gallery_free(). */
typedef struct edge_gallery edge_gallery;

/* Make templates ready to be searched, once for many searches.
 *
 * templates: `count` of them, from 1; results call them by their place, from 0. They may be freed afterwards.
 * gallery: receives the handle, for sessions of this manifest and variant: after an update of the bundle make it anew.
 * NULL after an error.
 *
 * EDGE_ERROR_TEMPLATE: one is of another kind, embedding space or variant. EDGE_ERROR_USAGE: as edge_verify(). */
EDGE_API edge_status edge_gallery_new(const edge_session *session, const edge_template *const *templates, size_t count,
                                      edge_gallery **gallery);

/* How many templates it was made of; 0 for NULL. */
EDGE_API size_t edge_gallery_size(const edge_gallery *gallery);

/* Free a gallery. */
EDGE_API void edge_gallery_free(edge_gallery *gallery);

/* One of the best. This struct has no size, and never changes. */
typedef struct edge_candidate {
    size_t person; /* the place of the template */
    double score;
    double raw_score;
} edge_candidate;

typedef struct edge_identification {
    uint32_t struct_size; /* sizeof(edge_identification) */
    int32_t identified;   /* 1: `person` is whom the probe shows; else 0: nobody */
    size_t person;        /* the place of the template; meaningless unless identified */
    double score;         /* of the best candidate */
    double raw_score;
    double threshold; /* of one comparison, for as many references as the best candidate's */
    uint64_t flags;
    uint64_t blocking;
    size_t candidates;  /* how many were written */
    int32_t references; /* with how many the threshold was measured; 0 for a threshold of one's own */
    int32_t reserved;   /* 0 */
} edge_identification;

/* Who of the gallery is it, if anybody (open set)? With N people somebody reaches the threshold wrongly about
 * 1 - (1 - FMR)^N of the time: choose an operating point of an FMR well below 1 / N.
 *
 * candidates, capacity: receive the best ones, the best first and ties by place; NULL and 0 for none. With a flag that
 * blocks there are none.
 *
 * Errors of edge_verify(), and EDGE_ERROR_TEMPLATE: the gallery is of another manifest or variant. */
EDGE_API edge_status edge_identify(const edge_session *session, const edge_gallery *gallery, const edge_image *probe,
                                   edge_identification *result, edge_candidate *candidates, size_t capacity);

/* ---- faces, and whether they are live ---- */

/* A face in a picture. This struct has no size, and never changes. */
typedef struct edge_face {
    int32_t left, top, width, height; /* whole pixels, inside the picture */
    double points[5][2]; /* x, y in pixels: the person's right eye (left in the picture), left eye, tip of the nose,
                            right and left corner of the mouth; perhaps outside the picture */
    double confidence;   /* in [0, 1] */
} edge_face;

/* Find the faces of a picture, with a session of task "locate".
 *
 * faces, capacity: receive the largest ones, the largest first; NULL and 0 ask for the count alone.
 * count: receives how many there are, perhaps more than capacity; 0 after an error.
 *
 * Errors of edge_verify(). */
EDGE_API edge_status edge_locate(const edge_session *session, const edge_image *picture, edge_face *faces,
                                 size_t capacity, size_t *count);

enum {
    EDGE_UNCERTAIN = 0, /* unfit to be judged: `flags` say why */
    EDGE_LIVE = 1,
    EDGE_SPOOF = 2,
    EDGE_NO_FACE = 3
};

typedef struct edge_liveness {
    uint32_t struct_size; /* sizeof(edge_liveness) */
    int32_t decision;     /* EDGE_LIVE alone is live */
    double score;         /* higher is more likely live; NaN for EDGE_UNCERTAIN and EDGE_NO_FACE */
    double threshold;     /* live if and only if score >= threshold */
    uint64_t flags;
    int32_t left, top, width, height; /* the box that was judged; 0 if there is not exactly one face */
} edge_liveness;

/* Is it a live face, or a picture of one? Of one picture, with a session of task "spoof".
 *
 * Two faces are EDGE_UNCERTAIN with EDGE_FLAG_SEVERAL_FACES: nobody knows which one is asked about. Whoever watches a
 * camera asks of many frames in a row: one frame says little.
 *
 * Errors of edge_verify(). */
EDGE_API edge_status edge_detect(const edge_session *session, const edge_image *picture, edge_liveness *result);

#ifdef __cplusplus
}
#endif

#endif /* EDGE_SDK_H */
