// "Other data structures" and the appendix on special data structures: strings, ragged and sparse tensors, sets, tensor arrays, queues.
#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

template <class T>
concept NumbersCanBeAdded = requires(T x) { x + 42.f; };

void string_tensors() {
  const Tensor cafe = constant("caf\u00e9"), code_points = constant({99, 97, 102, 233});
  show("constant(\"caf\u00e9\")", to_string(cafe));
  const Tensor encoded = strings::unicode_encode(code_points);
  show("strings::unicode_encode(code_points)", to_string(encoded));
  show("strings::length(encoded)", strings::length(encoded));
  show("strings::length(encoded, \"UTF8_CHAR\")", strings::length(encoded, "UTF8_CHAR"));
  const Tensor words = constant({"Caf\u00e9", "Coffee", "caff\u00e8", "\u5496\u5561"});
  show("strings::length(words, \"UTF8_CHAR\")", strings::length(words, "UTF8_CHAR"));
  const RaggedTensor decoded = strings::unicode_decode(words);
  show("strings::unicode_decode(words)", to_string(decoded));
  check(8, {cafe.shape() == Shape(), cafe.item<std::string>() == "caf\xc3\xa9", encoded.item<std::string>() == "caf\xc3\xa9", equals(strings::length(encoded), 5), equals(strings::length(encoded, "UTF8_CHAR"), 4),
            equals(strings::unicode_decode(cafe).tensor(), {99, 97, 102, 233}), equals(strings::length(words, "UTF8_CHAR"), {4, 6, 5, 2}), equals(decoded[3].tensor(), {21654, 21857})});
}

void ragged_tensors() {
  const RaggedTensor r = strings::unicode_decode(constant({"Caf\u00e9", "Coffee", "caff\u00e8", "\u5496\u5561"}));
  show("r[1]", r[1].tensor());
  show("r[{slice(1, 3)}]", to_string(r[{slice(1, 3)}]));
  const std::vector<Tensor> lists{constant({65, 66}), constant(std::vector<std::int32_t>{}), constant({67})};
  const RaggedTensor r2 = ragged::stack(std::vector<RaggedTensor>(lists.begin(), lists.end()));
  show("ragged::concat({r, r2}, 0)", to_string(ragged::concat(std::vector{r, r2}, 0)));
  const RaggedTensor r3 = RaggedTensor::from_row_lengths(constant({68, 69, 70, 71}), constant({3, 0, 1, 0}));
  const RaggedTensor joined = ragged::concat(std::vector{r, r3}, 1);
  show("ragged::concat({r, r3}, 1)", to_string(joined));
  show("strings::unicode_encode(r3)", strings::unicode_encode(r3));
  show("r.to_tensor()", r.to_tensor());
  show("ragged::reduce_max(r, 1)", ragged::reduce_max(r, 1).tensor());
  check(9, {equals(r[1].tensor(), {67, 111, 102, 102, 101, 101}), r[{slice(1, 3)}].nrows() == 2, ragged::concat(std::vector{r, r2}, 0).nrows() == 7, equals(joined[0].tensor(), {67, 97, 102, 233, 68, 69, 70}),
            equals(strings::unicode_encode(r3), {"DEF", "", "G", ""}), r.to_tensor().shape() == Shape({4, 6}), equals(r.to_tensor()[3], {21654, 21857, 0, 0, 0, 0}), equals(ragged::reduce_max(r, 1).tensor(), {233, 111, 232, 21857})});
}

void sparse_tensors() {
  const Tensor indices = constant(std::vector<std::int64_t>{0, 1, 1, 0, 2, 3}, Shape{3, 2});
  const SparseTensor s(indices, constant({1.f, 2.f, 3.f}), Shape{3, 4});
  show("sparse::to_dense(s)", sparse::to_dense(s));
  show("sparse::to_dense(s * 42.f)", sparse::to_dense(s * 42.f));
  show("s + 42.f", std::string("does not compile"));
  const Tensor dense = constant({{10.f, 20.f}, {30.f, 40.f}, {50.f, 60.f}, {70.f, 80.f}});
  show("sparse::matmul(s, dense)", sparse::matmul(s, dense));
  const SparseTensor unordered(constant(std::vector<std::int64_t>{0, 2, 0, 1}, Shape{2, 2}), constant({1.f, 2.f}), Shape{3, 4});
  const std::string refused = refusal<InvalidArgumentError>([&] { sparse::to_dense(unordered); });
  show("sparse::to_dense(unordered)", refused);
  show("sparse::to_dense(sparse::reorder(unordered))", sparse::to_dense(sparse::reorder(unordered)));
  check(10, {equals(sparse::to_dense(s), {{0, 1, 0, 0}, {2, 0, 0, 0}, {0, 0, 0, 3}}), equals((s * 42.f).values(), {42, 84, 126}), !NumbersCanBeAdded<SparseTensor>,
             equals(sparse::matmul(s, dense), {{30, 40}, {20, 40}, {210, 240}}), !refused.empty(), equals(sparse::to_dense(sparse::reorder(unordered))[0], {0, 2, 1, 0})});
}

void set_operations() {
  const Tensor a = constant({{2, 3, 7}, {7, 0, 0}}), b = constant({{4, 5, 6}, {9, 10, 0}});
  const Tensor united = sparse::to_dense(sets::set_union(a, b)), rest = sparse::to_dense(sets::difference(a, b)), both = sparse::to_dense(sets::intersection(a, b));
  show("sparse::to_dense(sets::set_union(a, b))", united);
  show("sparse::to_dense(sets::difference(a, b))", rest);
  show("sparse::to_dense(sets::intersection(a, b))", both);
  check(11, {equals(united, {{2, 3, 4, 5, 6, 7}, {0, 7, 9, 10, 0, 0}}), equals(rest, {{2, 3, 7}, {7, 0, 0}}), equals(both, {{0}, {0}}), sets::set_union(a, b).shape() == Shape({2, 6})});
}

void tensor_arrays() {
  TensorArray array(3);
  array.write(0, constant({1.f, 2.f})).write(1, constant({3.f, 10.f})).write(2, constant({5.f, 7.f}));
  const Tensor second = array.read(1);
  show("array.read(1)", second);
  show("array.stack()", array.stack());
  const std::string again = refusal<InvalidArgumentError>([&] { array.read(1); }), outside = refusal<OutOfRangeError>([&] { array.write(3, second); });
  show("array.read(1)", again);
  show("array.write(3, ...)", outside);
  TensorArray dynamic(0, float32, {.dynamic_size = true});
  dynamic.write(3, second);
  check(12, {equals(second, {3, 10}), equals(array.stack(), {{1, 2}, {0, 0}, {5, 7}}), !again.empty(), !outside.empty(), dynamic.size() == 4});
}

void queues() {
  const FIFOQueue q(3, {int32, string}, {.shapes = {Ints{}, Ints{}}});
  q.enqueue({constant(10), constant("windy")});
  q.enqueue({constant(15), constant("sunny")});
  const std::int64_t size = q.size();
  show("q.size()", std::to_string(size));
  const Tensors first = q.dequeue();
  show("q.dequeue()", array_to_string(first[0]) + ", " + array_to_string(first[1]));
  q.enqueue_many({constant({13, 16}), constant({"cloudy", "rainy"})});
  const Tensors three = q.dequeue_many(3);
  show("q.dequeue_many(3)", array_to_string(three[0]) + ", " + array_to_string(three[1]));
  q.close();
  const std::string closed = refusal<CancelledError>([&] { q.enqueue({constant(1), constant("late")}); }), empty = refusal<OutOfRangeError>([&] { q.dequeue(); });
  show("q.enqueue(...)", closed);
  show("q.dequeue()", empty);

  const PriorityQueue urgent(10, {string}, {.shapes = {Ints{}}});
  urgent.enqueue_many({constant(std::vector<std::int64_t>{2, 0}), constant({"later", "now"})});
  const PaddingFIFOQueue padded(10, {int32}, {.shapes = {Ints{-1}}});
  padded.enqueue(constant({1, 2, 3}));
  padded.enqueue(constant({4}));
  const Tensor together = padded.dequeue_many(2)[0];
  show("padded.dequeue_many(2)", together);
  const RandomShuffleQueue shuffled(10, 0, {int32}, {.shapes = {Ints{}}}, 42);
  shuffled.enqueue_many(range(0, 5));
  check(13, {size == 2, equals(first[0], 10), equals(first[1], "windy"), equals(three[0], {15, 13, 16}), equals(three[1], {"sunny", "cloudy", "rainy"}), !closed.empty(), !empty.empty(), equals(urgent.dequeue()[1], "now"),
             equals(together, {{1, 2, 3}, {4, 0, 0}}), equals(sort(shuffled.dequeue_many(5)[0]), {0, 1, 2, 3, 4})});
}

}  // namespace

void data_structures() {
  heading("Other data structures (rows 8-13)");
  string_tensors();
  ragged_tensors();
  sparse_tensors();
  set_operations();
  tensor_arrays();
  queues();
}

}  // namespace book
