#include "serving_memory.hpp"

#include "cuda_bench/readers.hpp"
#include "cuda_support/check.hpp"
#include "persistentkv/core/error.hpp"

#include <fmt/format.h>

#include <cmath>

namespace pkv::cuda_serving {

namespace {

using cuda::check;

std::vector<std::unique_ptr<cuda_bench::Pool>> make_pools(const serving::RoutedOptions& options, int layers,
                                                          const CudaDeviceInfo& device) {
  if (layers < 1 || layers > 1024) throw InvalidArgument(fmt::format("run-layers is {}, must be in [1, 1024]", layers));
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const double bytes =
      static_cast<double>(KvCacheView::num_elements(options.shape, options.page_size, options.num_pages)) *
      size_bytes(options.dtype) * layers;
  const double most = static_cast<double>(free) * 0.9 - static_cast<double>(cuda_bench::ColdL2::size_bytes(device));
  if (bytes > most) {
    throw InvalidArgument(fmt::format(
        "{} layers of {} pages take {:.1f} GiB, must be at most {:.1f}: what {} has free; fewer --run-layers or a "
        "smaller KV budget take less",
        layers, options.num_pages, bytes / (1 << 30), most / (1 << 30), device.name));
  }
  std::vector<std::unique_ptr<cuda_bench::Pool>> pools;
  pools.reserve(static_cast<std::size_t>(layers));
  for (int layer = 0; layer < layers; ++layer) {
    pools.push_back(std::make_unique<cuda_bench::Pool>(options.shape, options.dtype, options.page_size,
                                                       options.num_pages,
                                                       options.seed + 2 * static_cast<std::uint32_t>(layer)));
  }
  return pools;
}

}  // namespace

ServingMemory::ServingMemory(const serving::RoutedOptions& options, std::int64_t max_active, int layers,
                             const CudaDeviceInfo& device)
    : shape_(options.shape),
      dtype_(options.dtype),
      num_sms_(device.num_sms),
      pools_(make_pools(options, layers, device)),
      q_(max_active * shape_.num_q_heads * shape_.head_dim * size_bytes(dtype_)),
      out_(max_active * shape_.num_q_heads * shape_.head_dim * size_bytes(dtype_)),
      lengths_(max_active),
      cold_l2_(device) {
  cuda_bench::fill_normal(q_.get(), dtype_, max_active * shape_.num_q_heads * shape_.head_dim, options.seed + 1,
                          stream_.handle());
  stream_.wait("filling q");
}

void ServingMemory::begin_step(const StepView& view) {
  host_step_ = view.step(shape_, dtype_);
  device_step_ = host_step_;
  cuda::copy_to_device(lengths_.get(), view.lengths.data(), view.lengths.size_bytes());
  device_step_.lengths.values.data = lengths_.get();
  device_step_.lengths.values.space = MemorySpace::kDevice;
  upload_table(view);
  check(cudaDeviceSynchronize(), "uploading a step");  // the stream does not wait for copies by itself
}

void ServingMemory::upload_table(const StepView& view) {
  pages_of_rows_.resize(view.lengths.size());
  for (std::size_t row = 0; row < view.lengths.size(); ++row)
    pages_of_rows_[row] = pages_for_tokens(view.lengths[row], view.page_size);
  const auto changed = shadow_.update(view.table, pages_of_rows_);
  const std::int64_t row_bytes = shadow_.width() * std::int64_t{sizeof(std::int32_t)};
  table_.reserve(shadow_.rows() * row_bytes);
  for (const TableShadow::Rows& rows : changed) {
    cuda::copy_to_device(table_.as<unsigned char>() + rows.first * row_bytes, shadow_.row(rows.first),
                         static_cast<std::size_t>(rows.count * row_bytes));
  }
  device_step_.table = PageTableView::dense(table_.as<std::int32_t>(), device_step_.batch, shadow_.width());
  device_step_.table.entries.space = MemorySpace::kDevice;
}

Layer ServingMemory::layer(std::size_t index) const {
  return Layer::dense(device_step_, pools_[index]->view(), q_.get(), out_.get());
}

double ServingMemory::read_limit_us() {
  std::vector<std::int32_t> pages;
  std::int64_t count = 0;
  for (const std::int64_t of_row : pages_of_rows_) count += of_row;
  pages.reserve(static_cast<std::size_t>(count));
  for (std::size_t row = 0; row < pages_of_rows_.size(); ++row) {
    const std::int32_t* begin = shadow_.row(static_cast<std::int64_t>(row));
    pages.insert(pages.end(), begin, begin + pages_of_rows_[row]);
  }
  page_list_.upload(pages.data(), count * std::int64_t{sizeof(std::int32_t)});
  check(cudaDeviceSynchronize(), "uploading pages");
  return cuda_bench::time_readers(pools_.front()->page_bytes(),
                                  [&](cuda_bench::Reader read) {
                                    cold_l2_.evict(stream_.handle());
                                    timer_.begin(stream_.handle());
                                    for (const auto& pool : pools_) {
                                      read({pool->view().k.data, pool->view().v.data, page_list_.as<std::int32_t>(),
                                            static_cast<std::int32_t>(count), pool->page_bytes()},
                                           num_sms_, stream_.handle());
                                    }
                                    check(cudaGetLastError(), "reading pages");
                                    return timer_.end_us(stream_.handle(), "a reader") /
                                           static_cast<double>(pools_.size());
                                  })
      .limit_us();
}

double ServingMemory::relative_error() {
  const std::int64_t elements = device_step_.batch * shape_.num_q_heads * shape_.head_dim;
  const cuda::DeviceArray<float> expected(elements);
  const cuda::DeviceArray<float> sums(2);
  cuda_bench::PlainAttention plain;
  plain.q = q_.get();
  plain.k = pools_.back()->view().k.data;
  plain.v = pools_.back()->view().v.data;
  plain.lengths = lengths_.get();
  plain.table = table_.as<std::int32_t>();
  plain.table_stride = shadow_.width();
  plain.batch = static_cast<int>(device_step_.batch);
  plain.num_q_heads = shape_.num_q_heads;
  plain.num_kv_heads = shape_.num_kv_heads;
  plain.head_dim = shape_.head_dim;
  plain.page_size = device_step_.page_size;
  plain.scale = static_cast<float>(shape_.scale());
  plain.dtype = dtype_;
  cuda_bench::attend_plainly(plain, expected.get(), stream_.handle());
  check(cudaMemsetAsync(sums.get(), 0, 2 * sizeof(float), stream_.handle()), "cudaMemsetAsync");
  cuda_bench::compare(out_.get(), dtype_, expected.get(), elements, sums.get(), stream_.handle());
  float found[2] = {};
  check(cudaMemcpyAsync(found, sums.get(), sizeof(found), cudaMemcpyDeviceToHost, stream_.handle()), "cudaMemcpyAsync");
  stream_.wait("comparing");
  return found[1] > 0.0F ? std::sqrt(static_cast<double>(found[0]) / found[1]) : 0.0;
}

}  // namespace pkv::cuda_serving
