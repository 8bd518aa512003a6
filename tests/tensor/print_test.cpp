// Tensors print as NumPy 2.4 prints the same arrays: the expected texts were printed by it.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

struct Printed {
  Tensor tensor;
  const char* text;
};

Tensor literal(const NestedLiteral& values, DType dtype) { return constant(values, dtype); }

/// What print(array) of NumPy shows.
const std::vector<Printed>& printed_by_numpy() {
  // clang-format off
  static const std::vector<Printed> rows = {
    {literal({1.0, 2.0, 3.0}, float32), R"([1. 2. 3.])"},
    {literal({1.0, 2.0, 3.0}, float64), R"([1. 2. 3.])"},
    {literal({1.0, 2.0, 3.0}, float16), R"([1. 2. 3.])"},
    {literal({1.5, 2.25, -3.125}, float32), R"([ 1.5    2.25  -3.125])"},
    {literal({1.5, 2.25, -3.125}, float64), R"([ 1.5    2.25  -3.125])"},
    {literal({1.5, 2.25, -3.125}, float16), R"([ 1.5    2.25  -3.125])"},
    {literal({0.1, 0.2, 0.3}, float32), R"([0.1 0.2 0.3])"},
    {literal({0.1, 0.2, 0.3}, float64), R"([0.1 0.2 0.3])"},
    {literal({0.1, 0.2, 0.3}, float16), R"([0.1 0.2 0.3])"},
    {literal({1e-05, 1.0}, float32), R"([1.e-05 1.e+00])"},
    {literal({1e-05, 1.0}, float64), R"([1.e-05 1.e+00])"},
    {literal({1e-05, 1.0}, float16), R"([1.e-05 1.e+00])"},
    {literal({10000000000.0, 1.0}, float32), R"([1.e+10 1.e+00])"},
    {literal({10000000000.0, 1.0}, float64), R"([1.e+10 1.e+00])"},
    {literal({123456789.0}, float32), R"([1.2345679e+08])"},
    {literal({123456789.0}, float64), R"([1.23456789e+08])"},
    {literal({100000000.0}, float32), R"([1.e+08])"},
    {literal({100000000.0}, float64), R"([1.e+08])"},
    {literal({99999999.0}, float32), R"([1.e+08])"},
    {literal({99999999.0}, float64), R"([99999999.])"},
    {literal({0.0001}, float32), R"([0.0001])"},
    {literal({0.0001}, float64), R"([0.0001])"},
    {literal({0.0001}, float16), R"([0.0001])"},
    {literal({9e-05}, float32), R"([9.e-05])"},
    {literal({9e-05}, float64), R"([9.e-05])"},
    {literal({9e-05}, float16), R"([9.e-05])"},
    {literal({1000.1, 1.0}, float32), R"([1.0001e+03 1.0000e+00])"},
    {literal({1000.1, 1.0}, float64), R"([1.0001e+03 1.0000e+00])"},
    {literal({1000.1, 1.0}, float16), R"([1.e+03 1.e+00])"},
    {literal({1001.0, 1.0}, float32), R"([1.001e+03 1.000e+00])"},
    {literal({1001.0, 1.0}, float64), R"([1.001e+03 1.000e+00])"},
    {literal({1001.0, 1.0}, float16), R"([1.001e+03 1.000e+00])"},
    {literal({0.3, 0.0003}, float32), R"([0.3    0.0003])"},
    {literal({0.3, 0.0003}, float64), R"([0.3    0.0003])"},
    {literal({0.3, 0.0003}, float16), R"([3.e-01 3.e-04])"},
    {literal({1e-10, -1e-10}, float32), R"([ 1.e-10 -1.e-10])"},
    {literal({1e-10, -1e-10}, float64), R"([ 1.e-10 -1.e-10])"},
    {literal({0.3333333333333333, 0.6666666666666666}, float32), R"([0.33333334 0.6666667 ])"},
    {literal({0.3333333333333333, 0.6666666666666666}, float64), R"([0.33333333 0.66666667])"},
    {literal({0.3333333333333333, 0.6666666666666666}, float16), R"([0.3333 0.6665])"},
    {literal({-0.0, 0.0}, float32), R"([-0.  0.])"},
    {literal({-0.0, 0.0}, float64), R"([-0.  0.])"},
    {literal({-0.0, 0.0}, float16), R"([-0.  0.])"},
    {literal({NAN, 1.0}, float32), R"([nan  1.])"},
    {literal({NAN, 1.0}, float64), R"([nan  1.])"},
    {literal({NAN, 1.0}, float16), R"([nan  1.])"},
    {literal({INFINITY, 1.0}, float32), R"([inf  1.])"},
    {literal({INFINITY, 1.0}, float64), R"([inf  1.])"},
    {literal({INFINITY, 1.0}, float16), R"([inf  1.])"},
    {literal({-INFINITY, 1.5}, float32), R"([-inf  1.5])"},
    {literal({-INFINITY, 1.5}, float64), R"([-inf  1.5])"},
    {literal({-INFINITY, 1.5}, float16), R"([-inf  1.5])"},
    {literal({NAN, INFINITY, -INFINITY}, float32), R"([ nan  inf -inf])"},
    {literal({NAN, INFINITY, -INFINITY}, float64), R"([ nan  inf -inf])"},
    {literal({NAN, INFINITY, -INFINITY}, float16), R"([ nan  inf -inf])"},
    {literal({NAN, 10000000000.0}, float32), R"([   nan 1.e+10])"},
    {literal({NAN, 10000000000.0}, float64), R"([   nan 1.e+10])"},
    {literal({-INFINITY, 1e-12}, float32), R"([  -inf 1.e-12])"},
    {literal({-INFINITY, 1e-12}, float64), R"([  -inf 1.e-12])"},
    {literal({3.14159265, 2.71828183, -1.41421356}, float32), R"([ 3.1415927  2.7182817 -1.4142135])"},
    {literal({3.14159265, 2.71828183, -1.41421356}, float64), R"([ 3.14159265  2.71828183 -1.41421356])"},
    {literal({3.14159265, 2.71828183, -1.41421356}, float16), R"([ 3.14   2.719 -1.414])"},
    {literal({1e+20, 1e-20}, float32), R"([1.e+20 1.e-20])"},
    {literal({1e+20, 1e-20}, float64), R"([1.e+20 1.e-20])"},
    {literal({16777216.0, 0.5}, float32), R"([1.6777216e+07 5.0000000e-01])"},
    {literal({16777216.0, 0.5}, float64), R"([1.6777216e+07 5.0000000e-01])"},
    {literal({1.0, 10.0, 100.0}, float32), R"([  1.  10. 100.])"},
    {literal({1.0, 10.0, 100.0}, float64), R"([  1.  10. 100.])"},
    {literal({1.0, 10.0, 100.0}, float16), R"([  1.  10. 100.])"},
    {literal({0.5}, float32), R"([0.5])"},
    {literal({0.5}, float64), R"([0.5])"},
    {literal({0.5}, float16), R"([0.5])"},
    {literal({123.456, 7.0}, float32), R"([123.456   7.   ])"},
    {literal({123.456, 7.0}, float64), R"([123.456   7.   ])"},
    {literal({123.456, 7.0}, float16), R"([123.44   7.  ])"},
    {literal({2.5e-08, 1.5}, float32), R"([2.5e-08 1.5e+00])"},
    {literal({2.5e-08, 1.5}, float64), R"([2.5e-08 1.5e+00])"},
    {literal({100000.0, 0.1}, float32), R"([1.e+05 1.e-01])"},
    {literal({100000.0, 0.1}, float64), R"([1.e+05 1.e-01])"},
    {literal({1e-45, 1.0}, float32), R"([1.e-45 1.e+00])"},
    {literal({1e-45, 1.0}, float64), R"([1.e-45 1.e+00])"},
    {literal({3e+38, 1.0}, float32), R"([3.e+38 1.e+00])"},
    {literal({3e+38, 1.0}, float64), R"([3.e+38 1.e+00])"},
    {literal({{1.0, 2.0}, {3.0, 4.0}}, float32), R"([[1. 2.]
 [3. 4.]])"},
    {literal({{1.0, 2.0}, {3.0, 4.0}}, float64), R"([[1. 2.]
 [3. 4.]])"},
    {literal({{1.0, 2.0}, {3.0, 4.0}}, float16), R"([[1. 2.]
 [3. 4.]])"},
    {literal({{1.5, -2.0}, {100000.0, 0.0}}, float32), R"([[ 1.5e+00 -2.0e+00]
 [ 1.0e+05  0.0e+00]])"},
    {literal({{1.5, -2.0}, {100000.0, 0.0}}, float64), R"([[ 1.5e+00 -2.0e+00]
 [ 1.0e+05  0.0e+00]])"},
    {literal({{{1.0, 2.0}, {3.0, 4.0}}, {{5.0, 6.0}, {7.0, 8.0}}}, float32), R"([[[1. 2.]
  [3. 4.]]

 [[5. 6.]
  [7. 8.]]])"},
    {literal({{{1.0, 2.0}, {3.0, 4.0}}, {{5.0, 6.0}, {7.0, 8.0}}}, float64), R"([[[1. 2.]
  [3. 4.]]

 [[5. 6.]
  [7. 8.]]])"},
    {literal({{{1.0, 2.0}, {3.0, 4.0}}, {{5.0, 6.0}, {7.0, 8.0}}}, float16), R"([[[1. 2.]
  [3. 4.]]

 [[5. 6.]
  [7. 8.]]])"},
    {literal({{{{1.0, 2.0}}}}, float32), R"([[[[1. 2.]]]])"},
    {literal({{{{1.0, 2.0}}}}, float64), R"([[[[1. 2.]]]])"},
    {literal({{{{1.0, 2.0}}}}, float16), R"([[[[1. 2.]]]])"},
    {literal({9.9999999, 1.0}, float32), R"([10.  1.])"},
    {literal({9.9999999, 1.0}, float64), R"([9.9999999 1.       ])"},
    {literal({9.9999999, 1.0}, float16), R"([10.  1.])"},
    {literal({0.99999999}, float32), R"([1.])"},
    {literal({0.99999999}, float64), R"([0.99999999])"},
    {literal({0.99999999}, float16), R"([1.])"},
    {literal({12345.678, 0.0012345}, float32), R"([1.2345678e+04 1.2345000e-03])"},
    {literal({12345.678, 0.0012345}, float64), R"([1.2345678e+04 1.2345000e-03])"},
    {literal({12345.678, 0.0012345}, float16), R"([1.2344e+04 1.2341e-03])"},
    {literal({5e-324, 1.0}, float64), R"([5.e-324 1.e+000])"},
    {literal({1e+300, 1.0}, float64), R"([1.e+300 1.e+000])"},
    {literal({-1e-07, 3.0}, float32), R"([-1.e-07  3.e+00])"},
    {literal({-1e-07, 3.0}, float64), R"([-1.e-07  3.e+00])"},
    {literal({-1e-07, 3.0}, float16), R"([-1.e-07  3.e+00])"},
    {literal(1.0, float32), R"(1.0)"},
    {literal(1.0, float64), R"(1.0)"},
    {literal(1.0, float16), R"(1.0)"},
    {literal(0.5, float32), R"(0.5)"},
    {literal(0.5, float64), R"(0.5)"},
    {literal(0.5, float16), R"(0.5)"},
    {literal(0.3333333333333333, float32), R"(0.33333334)"},
    {literal(0.3333333333333333, float64), R"(0.3333333333333333)"},
    {literal(0.3333333333333333, float16), R"(0.3333)"},
    {literal(1e-05, float32), R"(1e-05)"},
    {literal(1e-05, float64), R"(1e-05)"},
    {literal(1e-05, float16), R"(1e-05)"},
    {literal(0.0001, float32), R"(1e-04)"},
    {literal(0.0001, float64), R"(0.0001)"},
    {literal(0.0001, float16), R"(0.0001)"},
    {literal(0.0001234, float32), R"(0.0001234)"},
    {literal(0.0001234, float64), R"(0.0001234)"},
    {literal(0.0001234, float16), R"(0.0001234)"},
    {literal(1000000000000000.0, float32), R"(1e+15)"},
    {literal(1000000000000000.0, float64), R"(1000000000000000.0)"},
    {literal(1e+16, float32), R"(1e+16)"},
    {literal(1e+16, float64), R"(1e+16)"},
    {literal(123456789.0, float32), R"(1.2345679e+08)"},
    {literal(123456789.0, float64), R"(123456789.0)"},
    {literal(NAN, float32), R"(nan)"},
    {literal(NAN, float64), R"(nan)"},
    {literal(NAN, float16), R"(nan)"},
    {literal(INFINITY, float32), R"(inf)"},
    {literal(INFINITY, float64), R"(inf)"},
    {literal(INFINITY, float16), R"(inf)"},
    {literal(-INFINITY, float32), R"(-inf)"},
    {literal(-INFINITY, float64), R"(-inf)"},
    {literal(-INFINITY, float16), R"(-inf)"},
    {literal(-0.0, float32), R"(-0.0)"},
    {literal(-0.0, float64), R"(-0.0)"},
    {literal(-0.0, float16), R"(-0.0)"},
    {literal(100.0, float32), R"(100.0)"},
    {literal(100.0, float64), R"(100.0)"},
    {literal(100.0, float16), R"(100.0)"},
    {literal(1e+22, float32), R"(1e+22)"},
    {literal(1e+22, float64), R"(1e+22)"},
    {literal(-2.5e-07, float32), R"(-2.5e-07)"},
    {literal(-2.5e-07, float64), R"(-2.5e-07)"},
    {literal(-2.5e-07, float16), R"(-2.4e-07)"},
    {literal({1, 2, 3}, int32), R"([1 2 3])"},
    {literal({-1, 10, 100}, int32), R"([ -1  10 100])"},
    {literal({{1, -2}, {300, 4}}, int32), R"([[  1  -2]
 [300   4]])"},
    {literal(7, int32), R"(7)"},
    {literal(-7, int32), R"(-7)"},
    {literal({{{1}, {2}}, {{3}, {4}}}, int32), R"([[[1]
  [2]]

 [[3]
  [4]]])"},
    {literal({2147483647, -2147483648L}, int32), R"([ 2147483647 -2147483648])"},
    {literal({0}, int32), R"([0])"},
    {literal({-128, 127}, int8), R"([-128  127])"},
    {literal({0, 255}, uint8), R"([  0 255])"},
    {literal({9007199254740993L, 1}, int64), R"([9007199254740993                1])"},
    {literal(true, boolean), R"(True)"},
    {literal(false, boolean), R"(False)"},
    {literal({true, false}, boolean), R"([ True False])"},
    {literal({{true, true}, {false, true}}, boolean), R"([[ True  True]
 [False  True]])"},
    {literal({std::complex<double>(1.0, 2.0), std::complex<double>(3.0, -4.0)}, complex64), R"([1.+2.j 3.-4.j])"},
    {literal({std::complex<double>(1.0, 2.0), std::complex<double>(3.0, -4.0)}, complex128), R"([1.+2.j 3.-4.j])"},
    {literal({std::complex<double>(0.5, -1.0)}, complex64), R"([0.5-1.j])"},
    {literal({std::complex<double>(0.5, -1.0)}, complex128), R"([0.5-1.j])"},
    {literal({std::complex<double>(10000000000.0, 1.0), std::complex<double>(1.0, 0.0)}, complex64), R"([1.e+10+1.j 1.e+00+0.j])"},
    {literal({std::complex<double>(10000000000.0, 1.0), std::complex<double>(1.0, 0.0)}, complex128), R"([1.e+10+1.j 1.e+00+0.j])"},
    {literal({std::complex<double>(NAN, 1.0), std::complex<double>(0.0, 1.0)}, complex64), R"([nan+1.j  0.+1.j])"},
    {literal({std::complex<double>(NAN, 1.0), std::complex<double>(0.0, 1.0)}, complex128), R"([nan+1.j  0.+1.j])"},
    {literal({std::complex<double>(1.0, INFINITY), std::complex<double>(-INFINITY, NAN)}, complex64), R"([  1.+infj -inf+nanj])"},
    {literal({std::complex<double>(1.0, INFINITY), std::complex<double>(-INFINITY, NAN)}, complex128), R"([  1.+infj -inf+nanj])"},
    {literal({std::complex<double>(-1.5, -2.25), std::complex<double>(10.0, 0.125)}, complex64), R"([-1.5-2.25j  10. +0.125j])"},
    {literal({std::complex<double>(-1.5, -2.25), std::complex<double>(10.0, 0.125)}, complex128), R"([-1.5-2.25j  10. +0.125j])"},
    {literal(std::complex<double>(1.0, 2.0), complex64), R"((1+2j))"},
    {literal(std::complex<double>(1.0, 2.0), complex128), R"((1+2j))"},
    {literal(std::complex<double>(-0.5, -1e-07), complex64), R"((-0.5-1e-07j))"},
    {literal(std::complex<double>(-0.5, -1e-07), complex128), R"((-0.5-1e-07j))"},
    {literal(std::complex<double>(0.0, 1.0), complex64), R"(1j)"},
    {literal(std::complex<double>(0.0, 1.0), complex128), R"(1j)"},
    {literal(std::complex<double>(NAN, INFINITY), complex64), R"((nan+infj))"},
    {literal(std::complex<double>(NAN, INFINITY), complex128), R"((nan+infj))"},
    {literal(std::complex<double>(-1.0, 0.0), complex64), R"((-1+0j))"},
    {literal(std::complex<double>(-1.0, 0.0), complex128), R"((-1+0j))"},
    {literal({{std::complex<double>(1.0, 1.0)}, {std::complex<double>(2.0, -2.0)}}, complex64), R"([[1.+1.j]
 [2.-2.j]])"},
    {literal({{std::complex<double>(1.0, 1.0)}, {std::complex<double>(2.0, -2.0)}}, complex128), R"([[1.+1.j]
 [2.-2.j]])"},
    {literal({0.1, 12345.678}, float32), R"([1.0000000e-01 1.2345678e+04])"},
    {literal({0.1, 12345.678}, float64), R"([1.0000000e-01 1.2345678e+04])"},
    {literal({0.1, 12345.678}, float16), R"([9.9976e-02 1.2344e+04])"},
    {literal({0.1, 1e-09}, float32), R"([1.e-01 1.e-09])"},
    {literal({0.1, 1e-09}, float64), R"([1.e-01 1.e-09])"},
    {literal({0.123456785, 0.5}, float32), R"([0.12345678 0.5       ])"},
    {literal({0.123456785, 0.5}, float64), R"([0.12345678 0.5       ])"},
    {literal({0.123456785, 0.5}, float16), R"([0.1235 0.5   ])"},
    {literal({999999.5}, float32), R"([999999.5])"},
    {literal({999999.5}, float64), R"([999999.5])"},
    {literal({1000000.0}, float32), R"([1.e+06])"},
    {literal({1000000.0}, float64), R"([1000000.])"},
    {literal({123456.7}, float32), R"([123456.7])"},
    {literal({123456.7}, float64), R"([123456.7])"},
    {literal({999.0}, float32), R"([999.])"},
    {literal({999.0}, float64), R"([999.])"},
    {literal({999.0}, float16), R"([999.])"},
    {literal({1000.0}, float32), R"([1000.])"},
    {literal({1000.0}, float64), R"([1000.])"},
    {literal({1000.0}, float16), R"([1.e+03])"},
    {literal(std::complex<double>(0.0, -1.0), complex64), R"(-1j)"},
    {literal(std::complex<double>(0.0, -1.0), complex128), R"(-1j)"},
    {literal(std::complex<double>(0.0, INFINITY), complex64), R"(infj)"},
    {literal(std::complex<double>(0.0, INFINITY), complex128), R"(infj)"},
    {literal(std::complex<double>(1.0, NAN), complex64), R"((1+nanj))"},
    {literal(std::complex<double>(1.0, NAN), complex128), R"((1+nanj))"},
    {literal(std::complex<double>(1000000.0, 1.0), complex64), R"((1e+06+1j))"},
    {literal(std::complex<double>(1000000.0, 1.0), complex128), R"((1000000+1j))"},
    {literal(std::complex<double>(1000000000000000.0, 1e+16), complex64), R"((1e+15+1e+16j))"},
    {literal(std::complex<double>(1000000000000000.0, 1e+16), complex128), R"((1000000000000000+1e+16j))"},
    {literal(std::complex<double>(0.0001, 1e-05), complex64), R"((1e-04+1e-05j))"},
    {literal(std::complex<double>(0.0001, 1e-05), complex128), R"((0.0001+1e-05j))"},
    {literal(std::complex<double>(-0.0, 1.0), complex64), R"((-0+1j))"},
    {literal(std::complex<double>(-0.0, 1.0), complex128), R"((-0+1j))"},
  };
  // clang-format on
  return rows;
}

TEST(Print, ShowsElementsAsNumPyDoes) {
  for (const Printed& row : printed_by_numpy()) EXPECT_EQ(array_to_string(row.tensor), row.text) << to_string(row.tensor.spec());
}

TEST(Print, ShowsEmptyTensorsAsEmptyBrackets) {
  EXPECT_EQ(array_to_string(zeros({0})),
            "[]");
  EXPECT_EQ(array_to_string(zeros({0, 3})),
            "[]");
  EXPECT_EQ(array_to_string(zeros({2, 0}, int32)),
            "[]");
}

TEST(Print, LeavesOutTheMiddleBeyondAThousandElements) {
  EXPECT_EQ(array_to_string(range(0, 1001)),
            "[   0    1    2 ...  998  999 1000]");
  EXPECT_EQ(array_to_string(range(0, 1000)).find("..."), std::string::npos);
  EXPECT_EQ(array_to_string(reshape(range(0, 1200), {30, 40})),
            "[[   0    1    2 ...   37   38   39]\n"
            " [  40   41   42 ...   77   78   79]\n"
            " [  80   81   82 ...  117  118  119]\n"
            " ...\n"
            " [1080 1081 1082 ... 1117 1118 1119]\n"
            " [1120 1121 1122 ... 1157 1158 1159]\n"
            " [1160 1161 1162 ... 1197 1198 1199]]");
  EXPECT_EQ(array_to_string(reshape(range(0, 1500), {500, 3})),
            "[[   0    1    2]\n"
            " [   3    4    5]\n"
            " [   6    7    8]\n"
            " ...\n"
            " [1491 1492 1493]\n"
            " [1494 1495 1496]\n"
            " [1497 1498 1499]]");
  EXPECT_EQ(array_to_string(reshape(cast(range(0, 1400), float32) * 0.5, {7, 2, 100})),
            "[[[0.000e+00 5.000e-01 1.000e+00 ... 4.850e+01 4.900e+01 4.950e+01]\n"
            "  [5.000e+01 5.050e+01 5.100e+01 ... 9.850e+01 9.900e+01 9.950e+01]]\n"
            "\n"
            " [[1.000e+02 1.005e+02 1.010e+02 ... 1.485e+02 1.490e+02 1.495e+02]\n"
            "  [1.500e+02 1.505e+02 1.510e+02 ... 1.985e+02 1.990e+02 1.995e+02]]\n"
            "\n"
            " [[2.000e+02 2.005e+02 2.010e+02 ... 2.485e+02 2.490e+02 2.495e+02]\n"
            "  [2.500e+02 2.505e+02 2.510e+02 ... 2.985e+02 2.990e+02 2.995e+02]]\n"
            "\n"
            " ...\n"
            "\n"
            " [[4.000e+02 4.005e+02 4.010e+02 ... 4.485e+02 4.490e+02 4.495e+02]\n"
            "  [4.500e+02 4.505e+02 4.510e+02 ... 4.985e+02 4.990e+02 4.995e+02]]\n"
            "\n"
            " [[5.000e+02 5.005e+02 5.010e+02 ... 5.485e+02 5.490e+02 5.495e+02]\n"
            "  [5.500e+02 5.505e+02 5.510e+02 ... 5.985e+02 5.990e+02 5.995e+02]]\n"
            "\n"
            " [[6.000e+02 6.005e+02 6.010e+02 ... 6.485e+02 6.490e+02 6.495e+02]\n"
            "  [6.500e+02 6.505e+02 6.510e+02 ... 6.985e+02 6.990e+02 6.995e+02]]]");
  EXPECT_EQ(array_to_string(zeros({2000, 0})),
            "[]");
}

TEST(Print, BreaksLinesAtSeventyFiveCharacters) {
  EXPECT_EQ(array_to_string(cast(range(0, 40), float32) * 1.25),
            "[ 0.    1.25  2.5   3.75  5.    6.25  7.5   8.75 10.   11.25 12.5  13.75\n"
            " 15.   16.25 17.5  18.75 20.   21.25 22.5  23.75 25.   26.25 27.5  28.75\n"
            " 30.   31.25 32.5  33.75 35.   36.25 37.5  38.75 40.   41.25 42.5  43.75\n"
            " 45.   46.25 47.5  48.75]");
  EXPECT_EQ(array_to_string(reshape(range(0, 60), {2, 30})),
            "[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
            "  24 25 26 27 28 29]\n"
            " [30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53\n"
            "  54 55 56 57 58 59]]");
  EXPECT_EQ(array_to_string(reshape(range(0, 100), {1, 1, 1, 100})),
            "[[[[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21\n"
            "    22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43\n"
            "    44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65\n"
            "    66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87\n"
            "    88 89 90 91 92 93 94 95 96 97 98 99]]]]");
  EXPECT_EQ(array_to_string(cast(range(0, 16), complex64)),
            "[ 0.+0.j  1.+0.j  2.+0.j  3.+0.j  4.+0.j  5.+0.j  6.+0.j  7.+0.j  8.+0.j\n"
            "  9.+0.j 10.+0.j 11.+0.j 12.+0.j 13.+0.j 14.+0.j 15.+0.j]");
  EXPECT_EQ(array_to_string(cast(range(0, 20), boolean)),
            "[False  True  True  True  True  True  True  True  True  True  True  True\n"
            "  True  True  True  True  True  True  True  True]");
}

TEST(Print, ShowsStringsAsBytesLiterals) {
  EXPECT_EQ(array_to_string(constant({"a", "bc", "def"})),
            "[b'a' b'bc' b'def']");
  EXPECT_EQ(array_to_string(constant({{"a", "bc"}, {"", "it's"}})),
            "[[b'a' b'bc']\n"
            " [b'' b\"it's\"]]");
  EXPECT_EQ(array_to_string(constant({"caf\xc3\xa9", "tab\t", "\"", "back\\slash", "\n\r\x01\x7f"})),
            "[b'caf\\xc3\\xa9' b'tab\\t' b'\"' b'back\\\\slash' b'\\n\\r\\x01\\x7f']");
  const std::vector<std::string> words{"word number 0", "word number 1", "word number 2", "word number 3", "word number 4", "word number 5", "word number 6", "word number 7"};
  EXPECT_EQ(array_to_string(constant(words)),
            "[b'word number 0' b'word number 1' b'word number 2' b'word number 3'\n"
            " b'word number 4' b'word number 5' b'word number 6' b'word number 7']");
}

TEST(Print, ShowsAStringScalarWithoutBrackets) {
  EXPECT_EQ(array_to_string(constant("caf\xc3\xa9")), "b'caf\\xc3\\xa9'");
  EXPECT_EQ(array_to_string(constant("it's")), "b\"it's\"");
}

TEST(Print, FollowsItsOptions) {
  const PrintOptions options{.precision = 3, .threshold = 5, .edge_items = 1, .line_width = 40};
  EXPECT_EQ(array_to_string(cast(range(0, 9), float64) / 7.0, options),
            "[0.    ... 1.143]");
  EXPECT_EQ(array_to_string(constant({1.0 / 3, 1e-9}, float64), options),
            "[3.333e-01 1.000e-09]");
  EXPECT_EQ(array_to_string(constant({12345.678, 0.5}, float64), options),
            "[1.235e+04 5.000e-01]");
}

TEST(Print, NamesShapeAndDTypeAsTheBookShowsThem) {
  EXPECT_EQ(to_string(constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}})), "<Tensor shape=(2, 3) dtype=float32\n[[1. 2. 3.]\n [4. 5. 6.]]>");
  EXPECT_EQ(to_string(constant(42)), "<Tensor shape=() dtype=int32\n42>");
  std::ostringstream stream;
  stream << constant({true});
  EXPECT_EQ(stream.str(), "<Tensor shape=(1,) dtype=bool\n[ True]>");
}

TEST(Print, ShowsAnUndefinedTensorWithoutElements) {
  EXPECT_EQ(to_string(Tensor()), "<Tensor undefined>");
  EXPECT_THROW(array_to_string(Tensor()), FailedPreconditionError);
}

TEST(Print, ShowsBFloat16InItsShortestDigits) {
  EXPECT_EQ(array_to_string(constant({0.1, 1.5, -3.0}, bfloat16)), "[ 0.1  1.5 -3. ]");
}

}  // namespace
}  // namespace lockstep
