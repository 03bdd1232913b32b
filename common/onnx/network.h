/* A user's network from an ONNX file: FILE.onnx, with external data beside it. Nothing in it is
 * executed; what is read, and what is refused, stands in docs/backbones.md. */
#ifndef PF_COMMON_ONNX_NETWORK_H
#define PF_COMMON_ONNX_NETWORK_H

#include <stdbool.h>

#include "common/file/file_stamp.h"
#include "permafrost/arch.h"

typedef struct PfOnnx PfOnnx;

/* Whether a --backbone on the command line means such a file: it ends in .onnx. */
bool pf_onnx_is_meant(const char *backbone);

/* Maps the file and reads its nodes; the graph is made by pf_onnx_build. known (may be NULL) saves
 * hashing a file that still has its stamp. Free with pf_onnx_free. */
int pf_onnx_open(const char *path, const PfFileStampSha256 *known, PfOnnx **out, PfError *err);
/* Whether the file can be read, and those that it names for its numbers are all beside it. */
bool pf_onnx_is_whole(const char *path);
/* The same as pf_onnx_open of a file in memory, which is lent until pf_onnx_free; external data is
 * refused. */
int pf_onnx_open_bytes(const char *path, const void *bytes, size_t size, PfOnnx **out,
                       PfError *err);
void pf_onnx_free(PfOnnx **onnx);

/* Everything below is lent until pf_onnx_free. */

const char *pf_onnx_path(const PfOnnx *onnx);
/* SHA-256 of the file; of one with external data that of the lines "<file's>\n" and, by path,
 * "<sha256>  <path>\n" for each. */
const char *pf_onnx_sha256(const PfOnnx *onnx);
/* mtime_ns 0 where it tells nothing. */
const PfFileStamp *pf_onnx_stamp(const PfOnnx *onnx);
/* Side of the images that it takes, in pixels; 0: any. */
int pf_onnx_side(const PfOnnx *onnx);

/* Makes the graph for images of side x side, once. Fails where the file is for another size, or has
 * a node that is not read, which is named. */
int pf_onnx_build(PfOnnx *onnx, int side, PfError *err);
PfArch *pf_onnx_arch(const PfOnnx *onnx);
/* Every parameter of the graph, by name; numbers are those of the mapped file where they can be. */
const PfNamedTensor *pf_onnx_tensors(const PfOnnx *onnx, size_t *count);
/* *name: of the node that `tap` means, which is a node's or a value's name in the file, or the
 * beginning of several nodes' names. Fails with the nearest names where it is none of these. */
int pf_onnx_find_tap(const PfOnnx *onnx, const char *tap, const char **name, PfError *err);

#endif
