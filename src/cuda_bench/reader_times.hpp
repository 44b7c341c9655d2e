#pragma once

namespace pkv::cuda_bench {

/// Microseconds of three readers of the same pages, the fastest of which is the limit of what attention could take.
struct ReaderTimes {
  double pages_reader_us = 0.0;
  double vectors_reader_us = 0.0;
  double rings_reader_us = 0.0;  ///< 0 where it cannot read pages of this size

  [[nodiscard]] double limit_us() const noexcept {
    const double plain = vectors_reader_us < pages_reader_us ? vectors_reader_us : pages_reader_us;
    return rings_reader_us > 0.0 && rings_reader_us < plain ? rings_reader_us : plain;
  }
};

}  // namespace pkv::cuda_bench
