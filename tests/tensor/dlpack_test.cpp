#include <lockstep/tensor/dlpack.h>

#include <dlpack/dlpack.h>
#include <gtest/gtest.h>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

namespace lockstep {
namespace {

/// Another library's tensor over `data`, counting how often its deleter ran.
struct Producer {
  explicit Producer(void* data, std::vector<std::int64_t> sizes, DLDataType type = {kDLFloat, 32, 1}) : shape(std::move(sizes)) {
    managed.dl_tensor = {data, {kDLCPU, 0}, int(shape.size()), type, shape.data(), nullptr, 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor* self) { ++static_cast<Producer*>(self->manager_ctx)->deleted; };
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  DLPackHandle handle() { return DLPackHandle(&managed); }
  void set_strides(std::vector<std::int64_t> values) {
    strides = std::move(values);
    managed.dl_tensor.strides = strides.data();
  }

  std::vector<std::int64_t> shape, strides;
  DLManagedTensor managed{};
  int deleted = 0;
};

TEST(DLPack, ExportsTheElementsThemselvesWithShapeAndStrides) {
  const Tensor tensor = constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}});
  const DLPackHandle handle = to_dlpack(tensor);
  const DLTensor& out = handle->dl_tensor;
  EXPECT_EQ(static_cast<std::byte*>(out.data) + out.byte_offset, tensor.raw());
  EXPECT_EQ(out.device.device_type, kDLCPU);
  ASSERT_EQ(out.ndim, 2);
  EXPECT_EQ(std::vector<std::int64_t>(out.shape, out.shape + 2), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(std::vector<std::int64_t>(out.strides, out.strides + 2), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(int(out.dtype.code), int(kDLFloat));
  EXPECT_EQ(out.dtype.bits, 32);
  EXPECT_EQ(out.dtype.lanes, 1);
}

TEST(DLPack, ExportsAViewAtItsOwnFirstElement) {
  const Tensor base = constant(std::vector<float>{1, 2, 3, 4});
  const DLPackHandle handle = to_dlpack(Tensor::view(base, {2}, 2));
  EXPECT_EQ(static_cast<float*>(handle->dl_tensor.data)[0], 3.f);
  EXPECT_EQ(handle->dl_tensor.shape[0], 2);
}

TEST(DLPack, LetsAConsumerOutliveTheTensor) {
  DLPackHandle handle;
  int released = 0;
  std::vector<float> memory{1, 2, 3};
  {
    const Tensor tensor = borrow<float>(memory, {3}, [&] { ++released; });
    handle = to_dlpack(tensor);
  }
  EXPECT_EQ(released, 0);
  EXPECT_EQ(static_cast<float*>(handle->dl_tensor.data)[2], 3.f);
  EXPECT_EQ(handle->dl_tensor.shape[0], 3);
  handle.reset();
  EXPECT_EQ(released, 1);
}

TEST(DLPack, KeepsTheLibraryFromReusingExportedElementsInPlace) {
  const Tensor tensor = constant({1.f, 2.f});
  EXPECT_TRUE(tensor.unique());
  DLPackHandle handle = to_dlpack(tensor);
  EXPECT_FALSE(tensor.unique());
  handle.reset();
  EXPECT_TRUE(tensor.unique());
}

TEST(DLPack, CarriesEveryDtypeThereAndBackWithoutACopy) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = DType(i);
    if (dtype == string) continue;
    const Tensor tensor = dtype == boolean ? full({2, 2}, true, dtype) : full({2, 2}, 1, dtype);
    const Tensor back = from_dlpack(to_dlpack(tensor));
    EXPECT_EQ(back.spec(), tensor.spec());
    EXPECT_EQ(back.raw(), tensor.raw()) << name(dtype);
  }
}

TEST(DLPack, NamesElementTypesByTheCodesOfTheStandard) {
  const auto code = [](DType dtype) {
    const DLPackHandle handle = to_dlpack(Tensor::empty({1}, dtype));
    return std::pair(int(handle->dl_tensor.dtype.code), int(handle->dl_tensor.dtype.bits));
  };
  EXPECT_EQ(code(int64), std::pair(0, 64));
  EXPECT_EQ(code(uint8), std::pair(1, 8));
  EXPECT_EQ(code(float16), std::pair(2, 16));
  EXPECT_EQ(code(bfloat16), std::pair(4, 16));
  EXPECT_EQ(code(complex128), std::pair(5, 128));
  EXPECT_EQ(code(boolean), std::pair(6, 8));
}

TEST(DLPack, SharesForeignElementsUntilTheLastTensorDies) {
  std::vector<float> memory{1, 2, 3, 4};
  Producer producer(memory.data(), {2, 2});
  Tensor row;
  {
    const Tensor tensor = from_dlpack(producer.handle());
    EXPECT_EQ(tensor.raw(), memory.data());
    EXPECT_EQ(tensor.shape(), (Shape{2, 2}));
    EXPECT_FALSE(tensor.unique());
    row = Tensor::view(tensor, {2}, 2);
  }
  EXPECT_EQ(producer.deleted, 0);
  EXPECT_EQ(row.to_vector<float>(), (std::vector<float>{3, 4}));
  row = Tensor();
  EXPECT_EQ(producer.deleted, 1);
}

TEST(DLPack, SharesRowMajorStridesWhateverAnAxisOfOneSays) {
  std::vector<float> memory{1, 2, 3};
  Producer producer(memory.data(), {1, 3, 1});
  producer.set_strides({-77, 1, 99});
  EXPECT_EQ(from_dlpack(producer.handle()).raw(), memory.data());
}

TEST(DLPack, CopiesTransposedReversedAndRepeatedElementsAndLetsGoAtOnce) {
  std::vector<float> memory{1, 2, 3, 4, 5, 6};
  const auto imported = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides, std::uint64_t offset) {
    Producer producer(memory.data(), std::move(shape));
    producer.set_strides(std::move(strides));
    producer.managed.dl_tensor.byte_offset = offset;
    const Tensor tensor = from_dlpack(producer.handle());
    EXPECT_EQ(producer.deleted, 1);
    return tensor.to_vector<float>();
  };
  EXPECT_EQ(imported({3, 2}, {1, 3}, 0), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(imported({3}, {-2}, 16), (std::vector<float>{5, 3, 1}));
  EXPECT_EQ(imported({2, 3}, {0, 1}, 4), (std::vector<float>{2, 3, 4, 2, 3, 4}));
}

TEST(DLPack, AppliesTheByteOffset) {
  std::vector<float> memory{1, 2, 3};
  Producer producer(memory.data(), {2});
  producer.managed.dl_tensor.byte_offset = 4;
  const Tensor tensor = from_dlpack(producer.handle());
  EXPECT_EQ(tensor.raw(), memory.data() + 1);
  EXPECT_EQ(tensor.to_vector<float>(), (std::vector<float>{2, 3}));
}

TEST(DLPack, CopiesElementsThatAreNotAlignedToTheirSize) {
  alignas(8) std::array<std::byte, 16> memory{};
  const float value = 2.5f;
  std::memcpy(memory.data() + 1, &value, sizeof value);
  Producer producer(memory.data(), {1});
  producer.managed.dl_tensor.byte_offset = 1;
  EXPECT_EQ(from_dlpack(producer.handle()).item<float>(), 2.5f);
  EXPECT_EQ(producer.deleted, 1);
}

TEST(DLPack, TakesScalarsAndEmptyTensorsWithoutElements) {
  float value = 4;
  Producer scalar(&value, {});
  scalar.managed.dl_tensor.shape = nullptr;
  EXPECT_EQ(from_dlpack(scalar.handle()).item<float>(), 4.f);
  Producer empty(nullptr, {3, 0});
  EXPECT_EQ(from_dlpack(empty.handle()).shape(), (Shape{3, 0}));
  EXPECT_EQ(empty.deleted, 1);
  EXPECT_EQ(to_dlpack(full({}, 1, int8))->dl_tensor.ndim, 0);
}

TEST(DLPack, RefusesForeignElementTypesDevicesAndShapesAndRunsTheDeleter) {
  float value = 1;
  for (const DLDataType type : {DLDataType{kDLFloat, 128, 1}, DLDataType{kDLFloat, 32, 4}, DLDataType{kDLInt, 4, 1}, DLDataType{kDLOpaqueHandle, 64, 1},
                                DLDataType{77, 8, 1}, DLDataType{kDLBfloat, 32, 1}}) {
    Producer producer(&value, {1}, type);
    EXPECT_THROW(from_dlpack(producer.handle()), TypeError) << int(type.code) << " " << int(type.bits);
    EXPECT_EQ(producer.deleted, 1);
  }
  Producer gpu(&value, {1});
  gpu.managed.dl_tensor.device = {kDLCUDA, 0};
  EXPECT_THROW(from_dlpack(gpu.handle()), UnimplementedError);
  EXPECT_EQ(gpu.deleted, 1);
  Producer deep(&value, {1, 1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_THROW(from_dlpack(deep.handle()), InvalidArgumentError);
  Producer negative(&value, {-1});
  EXPECT_THROW(from_dlpack(negative.handle()), InvalidArgumentError);
  Producer nothing(nullptr, {1});
  EXPECT_THROW(from_dlpack(nothing.handle()), InvalidArgumentError);
  EXPECT_EQ(nothing.deleted, 1);
  EXPECT_THROW(from_dlpack(nullptr), InvalidArgumentError);
}

TEST(DLPack, TakesAProducerWithoutADeleter) {
  float value = 3;
  Producer producer(&value, {1});
  producer.managed.deleter = nullptr;
  EXPECT_EQ(from_dlpack(producer.handle()).item<float>(), 3.f);
}

TEST(DLPack, RefusesToExportStringsAndValuesOfATrace) {
  EXPECT_THROW(to_dlpack(constant({"a"})), TypeError);
  EXPECT_THROW(to_dlpack(Tensor()), FailedPreconditionError);
  int trace = 0;
  EXPECT_THROW(to_dlpack(Tensor::symbolic({float32, {2}}, {&trace, 0})), FailedPreconditionError);
}

}  // namespace
}  // namespace lockstep
