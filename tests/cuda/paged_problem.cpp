#include "cuda/paged_problem.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pkv::testing {

namespace {

constexpr std::size_t kGuardBytes = 8192;

std::size_t pool_bytes(const Dimensions& d) {
  return static_cast<std::size_t>(d.num_pages * d.page_size * d.shape.num_kv_heads * d.shape.head_dim *
                                  size_bytes(d.dtype));
}

std::int64_t query_elements(const Dimensions& d) { return d.batch * d.shape.num_q_heads * d.shape.head_dim; }

Dimensions completed(Dimensions d) {
  if (d.num_pages == 0) d.num_pages = d.batch * d.pages_per_row + 2;
  return d;
}

}  // namespace

PagedProblem::PagedProblem(const Dimensions& dimensions, conformance::Random& random)
    : dimensions_(completed(dimensions)),
      random_(random),
      lengths_(static_cast<std::size_t>(dimensions.batch)),
      entries_(static_cast<std::size_t>(dimensions.batch * dimensions.pages_per_row)),
      k_(pool_bytes(dimensions_)),
      v_(pool_bytes(dimensions_)),
      q_(static_cast<std::size_t>(query_elements(dimensions_) * size_bytes(dimensions.dtype))),
      out_(static_cast<std::size_t>(query_elements(dimensions_) * size_bytes(dimensions.out_dtype))),
      lse_(static_cast<std::size_t>(dimensions.batch * dimensions.shape.num_q_heads)),
      device_lengths_(lengths_),
      device_entries_(entries_),
      device_k_(k_.size(), kGuardBytes),
      device_v_(v_.size(), kGuardBytes),
      device_q_(q_.size()),
      device_out_(out_.size(), kGuardBytes),
      device_lse_(lse_.size() * sizeof(float), kGuardBytes) {}

void PagedProblem::fill(std::vector<std::byte>& to, std::int64_t first, std::int64_t count) {
  for (std::int64_t i = first; i < first + count; ++i) store_element(to.data(), dimensions_.dtype, i, random_.normal());
}

void PagedProblem::fill_tokens(std::int64_t row) {
  const Dimensions& d = dimensions_;
  for (std::int64_t token = 0; token < lengths_[static_cast<std::size_t>(row)]; token += d.page_size) {
    const std::int64_t page = entries_[static_cast<std::size_t>(row * d.pages_per_row + token / d.page_size)];
    const std::int64_t tokens = std::min<std::int64_t>(d.page_size, lengths_[static_cast<std::size_t>(row)] - token);
    for (int head = 0; head < d.shape.num_kv_heads; ++head) {
      const std::int64_t first = (page * d.shape.num_kv_heads + head) * d.page_size * d.shape.head_dim;
      fill(k_, first, tokens * d.shape.head_dim);
      fill(v_, first, tokens * d.shape.head_dim);
    }
  }
}

void PagedProblem::draw(std::span<const std::int32_t> lengths) {
  constexpr std::int32_t kGarbage[] = {-1, 0, INT32_MAX, INT32_MIN};
  const Dimensions& d = dimensions_;
  std::copy(lengths.begin(), lengths.end(), lengths_.begin());
  std::vector<std::int32_t> pages(static_cast<std::size_t>(d.num_pages));
  std::iota(pages.begin(), pages.end(), 0);
  random_.shuffle(pages);
  auto next = pages.begin();
  std::fill(k_.begin(), k_.end(), std::byte{0xff});
  v_ = k_;
  if (d.fill_unused) {
    fill(k_, 0, std::ssize(k_) / size_bytes(d.dtype));
    fill(v_, 0, std::ssize(v_) / size_bytes(d.dtype));
  }
  for (std::int64_t row = 0; row < d.batch; ++row) {
    for (std::int64_t j = 0; j < d.pages_per_row; ++j) {
      const bool used = j * d.page_size < lengths_[static_cast<std::size_t>(row)];
      entries_[static_cast<std::size_t>(row * d.pages_per_row + j)] =
          used ? *next++ : random_.pick(std::span<const std::int32_t>(kGarbage));
    }
    fill_tokens(row);
  }
  fill(q_, 0, query_elements(d));
  device_lengths_.upload(lengths_);
  device_entries_.upload(entries_);
  device_k_.upload(k_.data());
  device_v_.upload(v_.data());
  device_q_.upload(q_.data());
}

void PagedProblem::place_sink(std::int64_t row, double nats) {
  const Dimensions& d = dimensions_;
  const std::int64_t page = entries_[static_cast<std::size_t>(row * d.pages_per_row)];
  for (int head = 0; head < d.shape.num_kv_heads; ++head) {
    const std::int64_t q = (row * d.shape.num_q_heads + head) * d.shape.head_dim;
    const std::int64_t token = (page * d.shape.num_kv_heads + head) * d.page_size * d.shape.head_dim;
    double square = 0.0;
    for (int i = 0; i < d.shape.head_dim; ++i) square += std::pow(load_element(q_.data(), d.dtype, q + i), 2.0);
    const auto gain = static_cast<float>(nats / (d.shape.scale() * square));
    for (int i = 0; i < d.shape.head_dim; ++i) {
      store_element(k_.data(), d.dtype, token + i, gain * load_element(q_.data(), d.dtype, q + i));
      store_element(v_.data(), d.dtype, token + i, 0.0f);
    }
  }
  device_k_.upload(k_.data());
  device_v_.upload(v_.data());
}

std::vector<std::int32_t> PagedProblem::random_lengths(std::int32_t most) {
  std::vector<std::int32_t> lengths(lengths_.size());
  for (std::int32_t& length : lengths)
    length = random_.chance(0.2) ? 0 : static_cast<std::int32_t>(random_.in(1, most));
  lengths[static_cast<std::size_t>(random_.in(0, std::ssize(lengths) - 1))] = most;
  return lengths;
}

Step PagedProblem::host_step() const {
  Step step;
  step.shape = dimensions_.shape;
  step.dtype = dimensions_.dtype;
  step.page_size = dimensions_.page_size;
  step.num_pages = dimensions_.num_pages;
  step.batch = dimensions_.batch;
  step.lengths.values = IndexView::host(lengths_.data(), std::ssize(lengths_));
  step.table = PageTableView::dense(entries_.data(), dimensions_.batch, dimensions_.pages_per_row);
  return step;
}

Layer PagedProblem::host_layer() const {
  const Dimensions& d = dimensions_;
  const KvCacheView kv =
      KvCacheView::dense(KvLayout::kHND, d.shape, d.dtype, d.page_size, d.num_pages, k_.data(), v_.data());
  Layer layer = Layer::dense(host_step(), kv, q_.data(), const_cast<std::byte*>(out_.data()));
  layer.out.dtype = d.out_dtype;
  layer.lse = LseView{const_cast<float*>(lse_.data()), d.shape.num_q_heads};
  return layer;
}

Step PagedProblem::device_step() const {
  Step step = host_step();
  step.lengths.values = device_lengths_.view();
  step.table.entries = device_entries_.view();
  return step;
}

Layer PagedProblem::device_layer() const {
  Layer layer = host_layer();
  layer.kv.k.data = device_k_.data();
  layer.kv.v.data = device_v_.data();
  layer.q.data = device_q_.data();
  layer.out.data = device_out_.data();
  layer.lse->data = reinterpret_cast<float*>(device_lse_.data());
  return layer;
}

}  // namespace pkv::testing
