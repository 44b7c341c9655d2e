#include "reader_times.hpp"

#include "readers.hpp"

namespace pkv::cuda_bench {

ReaderTimes time_readers(std::int64_t page_bytes, const std::function<double(Reader)>& time_us) {
  constexpr std::int64_t kRingPieceBytes = 4096;  // read_by_rings reads no pages that are not a multiple
  ReaderTimes times;
  times.pages_reader_us = time_us(read_by_pages);
  times.vectors_reader_us = time_us(read_by_vectors);
  if (page_bytes % kRingPieceBytes == 0) times.rings_reader_us = time_us(read_by_rings);
  return times;
}

}  // namespace pkv::cuda_bench
