#pragma once

// The cut's arithmetic is compiled for the host and for the device from one source.
#ifdef __CUDACC__
#define PKV_HOST_DEVICE __host__ __device__
#else
#define PKV_HOST_DEVICE
#endif
