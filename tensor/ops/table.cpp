// The list of families. A row appears in the table because its family is named here.

#include <lockstep/tensor/ops/table.h>

#include <iterator>
#include <string_view>
#include <utility>

namespace lockstep {

std::vector<OpDef> math_rows();
std::vector<OpDef> arithmetic_rows();
std::vector<OpDef> reduce_rows();
std::vector<OpDef> scan_rows();
std::vector<OpDef> array_rows();
std::vector<OpDef> join_rows();
std::vector<OpDef> create_rows();
std::vector<OpDef> index_rows();
std::vector<OpDef> slices_rows();
std::vector<OpDef> sort_rows();
std::vector<OpDef> matmul_rows();
std::vector<OpDef> linalg_rows();
std::vector<OpDef> conv_rows();
std::vector<OpDef> pool_rows();
std::vector<OpDef> normalization_rows();
std::vector<OpDef> softmax_rows();
std::vector<OpDef> attention_rows();
std::vector<OpDef> random_rows();
std::vector<OpDef> complex_rows();
std::vector<OpDef> fft_rows();
std::vector<OpDef> dct_rows();
std::vector<OpDef> signal_rows();
std::vector<OpDef> spectral_rows();
std::vector<OpDef> resize_rows();
std::vector<OpDef> image_rows();
std::vector<OpDef> color_rows();
std::vector<OpDef> image_quality_rows();
std::vector<OpDef> boxes_rows();
std::vector<OpDef> codec_rows();
std::vector<OpDef> audio_rows();
std::vector<OpDef> string_rows();
std::vector<OpDef> unicode_rows();
std::vector<OpDef> hash_rows();
std::vector<OpDef> lookup_rows();
std::vector<OpDef> ragged_rows();
std::vector<OpDef> sparse_rows();
std::vector<OpDef> sparse_index_rows();
std::vector<OpDef> set_rows();

namespace {

/// Families without CUDA kernels, and why. Rows that have one anyway, or a word of their own, keep it.
constexpr std::pair<std::string_view, std::string_view> kOnTheHost[] = {
    {"ragged", "sizes depend on the elements of row splits, which the host must read"},
    {"sparse", "sizes depend on the elements of indices, which the host must read"},
};

}  // namespace

std::vector<OpDef> all_rows() {
  std::vector<OpDef> rows;
  for (const auto family : {math_rows, arithmetic_rows, reduce_rows, scan_rows, array_rows, join_rows, create_rows, index_rows, slices_rows, sort_rows,
                            matmul_rows, linalg_rows, conv_rows, pool_rows, normalization_rows, softmax_rows, attention_rows, random_rows, complex_rows,
                            fft_rows, dct_rows, signal_rows, spectral_rows, resize_rows, image_rows, color_rows, image_quality_rows, boxes_rows, codec_rows, audio_rows,
                            string_rows, unicode_rows, hash_rows, lookup_rows, ragged_rows, sparse_rows, sparse_index_rows, set_rows}) {
    std::vector<OpDef> part = family();
    for (OpDef& row : part)
      for (const auto& [name, why] : kOnTheHost)
        if (row.family == name && row.no_cuda.empty() && !row.compose && row.fusion != Fusion::view) row.no_cuda = why;
    std::move(part.begin(), part.end(), std::back_inserter(rows));
  }
  return rows;
}

}  // namespace lockstep
