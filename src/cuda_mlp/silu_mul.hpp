#pragma once

#include "persistentkv/engine/backend.hpp"

namespace pkv::cuda_mlp {

/// out[r, i] = silu(x[r, i]) * x[r, width + i], FP16, computed in FP32. x: [rows, 2 * width], out: [rows, width]; width
/// is even.
void silu_mul(const void* x, void* out, int rows, int width, StreamHandle stream);

}  // namespace pkv::cuda_mlp
