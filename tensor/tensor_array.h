#pragma once
// TensorArray: a list of tensors of one dtype that is written and read one by one (tf.TensorArray).

#include <cstdint>
#include <vector>

#include <lockstep/tensor/ops.h>

namespace lockstep {

struct TensorArrayOptions {
  /// Writing behind the end makes the array longer.
  bool dynamic_size = false;
  /// A read element is gone: reading it again is an error, and it stacks as zeros.
  bool clear_after_read = true;
  /// All elements have the shape of the first that is written.
  bool infer_shape = true;
};

/// A value: copies are arrays of their own. In a traced function places may be tensors of the trace (`array.write(i, x)` in a loop over range): the elements are kept
/// in one tensor from then on, which stack() gives and unstack() takes, so that it can be a loop's state; what was read then stays.
class TensorArray {
 public:
  /// Throws InvalidArgumentError for a negative size.
  explicit TensorArray(std::int64_t size, DType dtype = float32, TensorArrayOptions options = {});

  std::int64_t size() const { return std::int64_t(elements_.size()); }
  DType dtype() const { return dtype_; }

  /// Replaces element `index`. Throws OutOfRangeError outside of an array of fixed size, InvalidArgumentError for another dtype or shape.
  TensorArray& write(std::int64_t index, const Tensor& value);
  /// `index`: a scalar int32 or int64, possibly of a trace, where the size is fixed and all elements have one shape, which must be known by then.
  TensorArray& write(const Tensor& index, const Tensor& value);
  /// Throws OutOfRangeError outside, InvalidArgumentError for an element that was never written (of unknown shape) or has been read.
  Tensor read(std::int64_t index);
  Tensor read(const Tensor& index);

  /// All elements behind each other on a new first axis; those never written are zeros. Throws InvalidArgumentError for elements of several shapes.
  Tensor stack() const;
  /// The elements at these places, int32 or int64 (n,), on a new first axis.
  Tensor gather(const Tensor& indices);
  /// All elements joined on their first axis, in which they may differ (`infer_shape = false`).
  Tensor concat() const;
  /// The parts of `value` along its first axis become the elements.
  TensorArray& unstack(const Tensor& value);
  /// Row k of `value` becomes element indices[k].
  TensorArray& scatter(const Tensor& indices, const Tensor& value);
  /// The next lengths[k] rows of `value` become element k.
  TensorArray& split(const Tensor& value, const Ints& lengths);

 private:
  void check(const Tensor& value) const;
  void resize(std::int64_t size);
  Tensor element_or_zeros(std::size_t i) const;
  void keep_in_one_tensor();

  DType dtype_;
  TensorArrayOptions options_;
  std::vector<Tensor> elements_;  // undefined: never written, or read
  std::vector<bool> read_;
  Shape element_shape_ = Shape::unknown();
  Tensor stacked_;  // instead of elements_, once a place was a tensor of a trace
};

}  // namespace lockstep
