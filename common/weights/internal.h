/* What the weight readers share. Others use weights.h. */
#ifndef PF_COMMON_WEIGHTS_INTERNAL_H
#define PF_COMMON_WEIGHTS_INTERNAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/pickle/pickle.h"
#include "common/weights/weights.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weight files are little-endian and are used as they are mapped");

#define PF_ENTRY_SIZE 200

/* A tensor of a type that is not read. It is passed over, and named where a network needs it. */
typedef struct PfForeignTensor {
    char *name;       /* owned; without its wrappers */
    const char *kind; /* lent: "F8_E4M3", as the rest of "it is " */
} PfForeignTensor;

struct PfWeights {
    char *source;         /* path, or "random:0" */
    const char *format;   /* static */
    const uint8_t *bytes; /* the file; NULL for random weights */
    size_t size;
    bool is_mapped;         /* bytes are ours to unmap */
    PfNamedTensor *tensors; /* names owned; file order */
    size_t count, capacity;
    size_t name_bytes;                /* of all tensors */
    const PfNamedTensor **by_name;    /* (count) sorted, made by pf_weights_index */
    PfArena arena;                    /* tensors that could not be used in place */
    cJSON *header;                    /* of a safetensors file */
    char sha256[PF_SHA256_TEXT_SIZE]; /* "" until asked for */
    PfFileStamp stamp;                /* of the file; zeros for random weights */
    const char *wanted_entry;         /* while it is read: lent, or NULL */
    bool as_before;            /* no averaged copy, nothing that programs before refused; shards */
    char entry[PF_ENTRY_SIZE]; /* pf_weights_entry; "" for none */
    char averaged[PF_ENTRY_SIZE]; /* key of an averaged copy that is not used; "" for none */
    bool pads_as_tensorflow;      /* the network that these names are of */
    PfForeignTensor *foreign;     /* by name after pf_weights_index */
    size_t foreign_count, foreign_capacity;
    PfWeights **shards; /* owned, by name: the files of an index; else none */
    size_t shard_count, shard_capacity;
};

/* An empty one, and its index once all tensors are added (which finds names
 * that came twice). */
int pf_weights_new(const char *source, PfWeights **out, PfError *err);
int pf_weights_index(PfWeights *weights, PfError *err);

/* The digest of these bytes, and of the entry where there is one. */
void pf_weights_set_sha256(PfWeights *weights, const void *bytes, size_t size);

/* Takes the digest from there, where the file has that stamp: it is not computed then. */
void pf_weights_recall_sha256(PfWeights *weights, const PfFileStampSha256 *known);

/* Adds a tensor; the name is copied without its wrappers ("module."), the data
 * must live as long as the weights. */
int pf_weights_add(PfWeights *weights, const char *name, size_t name_size, const PfTensorView *view,
                   PfError *err);
/* The same for one of a type that is not read; kind must live as long as the weights. */
int pf_weights_add_foreign(PfWeights *weights, const char *name, size_t name_size, const char *kind,
                           PfError *err);
/* NULL where there is none of that name. */
const PfForeignTensor *pf_weights_find_foreign(const PfWeights *weights, const char *name);
/* Keeps the tensors whose names begin with "<prefix>.", without it. Before pf_weights_index, or
 * with it done again afterwards. None left: an error that says with what the names begin. */
int pf_weights_keep_prefix(PfWeights *weights, const char *prefix, PfError *err);

/* Where no parameter of arch is there under its own name, but under a prefix ("backbone.",
 * "encoder."): drops it, and says so. Of several the one of an averaged copy; else an error that
 * names them. */
int pf_weights_see_through_prefix(PfWeights *weights, const PfArch *arch, PfError *err);

/* Whether one of the words of a name ("callbacks.EMACallback.state": callbacks, EMA, Callback,
 * state) is one of these, whose capitals do not matter; "averag-" is every word that begins so.
 * NULL ends them. */
bool pf_weights_has_word(const char *text, size_t length, const char *const *words);

/* Memory that pf_weights_close frees; 64-byte aligned, not zeroed. */
void *pf_weights_allocate(PfWeights *weights, size_t size, PfError *err);

/* pf_weights_open for a file in memory, which is lent until pf_weights_close. */
int pf_weights_open_bytes(const char *source, const void *bytes, size_t size, PfWeights **out,
                          PfError *err);
/* The same of pf_weights_open_entry. */
int pf_weights_open_bytes_entry(const char *source, const void *bytes, size_t size,
                                const char *entry, PfWeights **out, PfError *err);
/* As programs chose before averaged copies were preferred. */
int pf_weights_open_as_before(const char *path, PfWeights **out, PfError *err);

/* A tensor's name without its wrappers; the caller frees it. */
char *pf_weights_strip_wrappers(const char *name, size_t size, PfError *err);
/* "FILE#KEY", of `size` bytes of key, as a shell takes it for one word: to be freed. */
char *pf_weights_entry_word(const PfWeights *weights, const char *key, size_t size, PfError *err);
/* Cuts "FILE#KEY" in two where FILE is there: returns KEY, or NULL. */
char *pf_weights_split_entry(char *spec);

/* The formats: each adds the tensors of weights->bytes. */
int pf_weights_read_safetensors(PfWeights *weights, PfError *err);
int pf_weights_read_pth(PfWeights *weights, PfError *err);        /* zip */
int pf_weights_read_pth_legacy(PfWeights *weights, PfError *err); /* torch < 1.6 */

/* ---- as Hugging Face lays weights out: hugging_face.c ---- */

/* Where the names are those of Hugging Face's ResNets, makes torchvision's of them, and says so. */
int pf_weights_translate_names(PfWeights *weights, PfError *err);
/* Makes torchvision's names of today of those that its published DenseNets and vision transformers
 * still have: "denselayer1.norm.1." and "mlp.linear_1.". */
int pf_weights_renew_names(PfWeights *weights, PfError *err);

/* Where the names are those of efficientnet_lite_pytorch, makes timm's of them, and says so. */
int pf_weights_rename_efficientnet(PfWeights *weights, PfError *err);
/* Makes the network's tensors of those that timm's and transformers' files have under other names
 * or in pieces, where it is a vision transformer that is published so, and says so. */
int pf_weights_compose_names(PfWeights *weights, const PfArch *arch, PfError *err);

/* Whether the path is of an index of shards, "model.safetensors.index.json", by its name. */
bool pf_weights_is_index(const char *path);
/* Opens the index and all of its shards; each tensor must be where the index says. entry: as for
 * pf_weights_open_entry. The SHA-256 is that of the lines that sha256sum prints for the shards, by
 * name. */
int pf_weights_open_index(const char *path, const char *entry, PfWeights **out, PfError *err);

/* Refuses a ResNet whose config.json says that it computes something else than torchvision's. */
int pf_weights_check_resnet_config(const PfWeights *weights, PfError *err);

/* The file, or the index, that is meant by a folder: to be freed. NULL with a failure that says
 * what there is. */
char *pf_weights_in_folder(const char *folder, PfError *err);
/* Refuses a piece of a distributed checkpoint, by its name. */
int pf_weights_check_distributed(const char *path, PfError *err);

/* ---- from the pickled object of a torch file to named tensors: state_dict.c ---- */

/* Tells where a storage's numbers are: data points to size bytes, which must
 * be enough for it. */
int pf_state_dict_place_storage(const PfWeights *weights, PfPickleStorage *storage,
                                const uint8_t *data, uint64_t size, PfError *err);

/* Bytes of an element. */
size_t pf_state_dict_element_size(const PfPickleStorage *storage);

/* Adds the tensors of the state_dict in root, whose storages have been placed:
 * those of the entry weights->wanted_entry, or else of an averaged copy ("model_ema", ...), of the
 * entry "state_dict", "model", ..., or of root itself. What is no tensor (epoch, best accuracy,
 * optimiser) is passed over. Notes in weights which entry it was. */
int pf_state_dict_add(PfWeights *weights, const PfPickleValue *root, PfError *err);

#endif
