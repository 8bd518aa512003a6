// `lockstep bench steps`: one workload in a process of its own, so that the time to its first step and its peak of memory are its own.

#include <dnnl.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include <lockstep/autodiff/cost.h>
#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/device_plugin.h>

#include "bench.h"
#include "device.h"
#include "ranks.h"
#include "timing.h"
#include "workloads.h"

namespace lockstep::bench {
namespace {

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

// ---- the machine's limits, with the threads that the steps have

/// GFLOP/s of oneDNN's product of matrices that fit the caches.
double measured_gflops() {
  using Desc = dnnl::memory::desc;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  constexpr dnnl::memory::dim n = 768;
  const Desc square({n, n}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const dnnl::matmul product(dnnl::matmul::primitive_desc({square, square, square}, engine));
  dnnl::memory a(square, engine), b(square, engine), c(square, engine);
  for (const dnnl::memory* each : {&a, &b}) std::fill_n(static_cast<float*>(each->get_data_handle()), n * n, 0.5f);
  std::vector<double> times;
  for (int k = 0; k < 24; ++k) {
    const auto start = Clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
    times.push_back(seconds_since(start));
  }
  return 2e-9 * double(n * n * n) / *std::min_element(times.begin(), times.end());
}

/// GB/s read and written by a copy of memory that no cache holds.
double measured_bandwidth() {
  constexpr std::int64_t kBytes = std::int64_t(64) << 20;
  std::vector<char> from(std::size_t(kBytes), 1), to(std::size_t(kBytes), 0);
  double best = 1e9;
  for (int k = 0; k < 6; ++k) {
    const auto start = Clock::now();
    parallel_for(kBytes, 1 << 20, [&](std::int64_t begin, std::int64_t end) { std::memcpy(to.data() + begin, from.data() + begin, std::size_t(end - begin)); });
    best = std::min(best, seconds_since(start));
  }
  return 2e-9 * double(kBytes) / best;
}

// ---- what the step costs

double product_flops(const autodiff::Graph& graph) {
  double flops = 0;
  for (const autodiff::Node& node : graph.nodes) flops += autodiff::cost_of(graph, node).flops;
  return flops;
}

/// What has to go through memory whatever is fused: the variables that a step replaces, read and written.
double state_bytes(const autodiff::Graph& graph) {
  double bytes = 0;
  for (const autodiff::Update& update : graph.updates) bytes += 2.0 * double(update.variable.shape().numel()) * double(itemsize(update.variable.dtype()));
  return bytes;
}

// ---- the profile

std::string describe(const autodiff::Graph& graph, const autodiff::Node& node) {
  std::string text(node.op->name);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) text += (i ? ", " : " ") + to_string(graph.spec(node.inputs[i]).shape);
  text += " -> ";
  for (std::size_t i = 0; i < node.outputs.size(); ++i) text += (i ? ", " : "") + to_string(graph.spec(node.outputs[i]).shape);
  for (const Attr& attr : node.attrs)
    if (const auto* object = std::get_if<std::shared_ptr<const AttrObject>>(&attr.value)) text += " " + (*object)->describe();
  return text.size() <= 240 ? text : text.substr(0, 240) + "...";
}

struct Line {
  double ms = 0, flops = 0, bytes = 0;
  int calls = 0;
};

void print_profile(const Workload& workload, double seconds) {
  const autodiff::Executable& executable = workload.trace().executable();
  const autodiff::Graph& graph = executable.graph();
  executable.set_profiling(true);
  int steps = 0;
  for (const auto start = Clock::now(); steps < 3 || seconds_since(start) < seconds; ++steps) workload.step();
  executable.set_profiling(false);
  std::map<std::string, Line> lines;
  double total = 0;
  for (const auto& [node, time] : executable.step_times()) {
    Line& line = lines[describe(graph, graph.nodes[std::size_t(node)])];
    const autodiff::Cost cost = autodiff::cost_of(graph, graph.nodes[std::size_t(node)]);
    const double ms = 1e3 * time / steps;
    line.ms += ms;
    line.flops += cost.flops;
    line.bytes += cost.bytes;
    ++line.calls;
    total += ms;
  }
  std::vector<std::pair<std::string, Line>> sorted(lines.begin(), lines.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.ms > b.second.ms; });
  std::printf("%10s %7s %6s %9s %8s  %s\n", "ms", "share", "calls", "GFLOP/s", "GB/s", "op");
  for (const auto& [what, line] : sorted)
    std::printf("%10.4f %6.1f%% %6d %9.1f %8.1f  %s\n", line.ms, 100 * line.ms / total, line.calls, line.flops / line.ms * 1e-6, line.bytes / line.ms * 1e-6, what.c_str());
  std::printf("%10.4f %6.1f%% %6zu  in kernels; %s\n", total, 100.0, executable.step_count(), to_string(executable.plan()).c_str());
}

/// Milliseconds a step of fit over one epoch, after an epoch that traces. The rows are in another order in each, as by default.
void run_fit(const StepOptions& options) {
  const bool book = options.workload == "book_mlp";
  if (!book && options.workload != "mlp") throw InvalidArgumentError("fit is measured for book_mlp and mlp, not for '" + options.workload + "'", "bench steps");
  const std::int64_t batch = options.batch.value_or(book ? 32 : 256), steps = book ? 2000 : 60, rows = batch * steps;
  nn::Sequential model = book ? nn::Sequential({nn::InputLayer({8}), nn::Dense(30, "relu"), nn::Dense(1)}) : nn::Sequential({nn::InputLayer({784}), nn::Dense(512, "relu"), nn::Dense(256, "relu"), nn::Dense(10)});
  if (book) model.compile({.optimizer = optim::Nadam({.learning_rate = 1e-3}), .loss = nn::losses::Huber()});
  else model.compile({.optimizer = "adam", .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true})});
  const Tensor x = random::normal({rows, book ? 8 : 784}), y = book ? random::normal({rows, 1}) : random::integers({rows}, 0, 10);
  const nn::FitOptions fit{.batch_size = batch, .epochs = 1, .verbose = 0, .seed = 1};
  model.fit(x, y, fit);
  double best = 1e9;
  for (const auto start = Clock::now(); best == 1e9 || seconds_since(start) < options.seconds;) {
    const auto begin = Clock::now();
    model.fit(x, y, fit);
    best = std::min(best, 1e3 * seconds_since(begin) / double(steps));
  }
  if (options.json) std::printf("%s\n", nlohmann::ordered_json{{"workload", options.workload}, {"threads", options.threads}, {"fit", true}, {"ms", best}, {"steps", steps}, {"peak_MB", peak_megabytes()}}.dump().c_str());
  else std::printf("%s through fit, %d threads: %.4f ms a step\n", options.workload.c_str(), options.threads, best);
}

/// Runs each workload in a child, before this process has threads.
void run_all(StepOptions options) {
  for (const char* name : {"book_mlp", "mlp", "cnn", "resnet20", "gpt"}) {
    options.workload = name;
    const pid_t child = fork();
    if (child < 0) throw ResourceExhaustedError(std::string("no process could be started: ") + std::strerror(errno), "bench steps");
    if (child == 0) {
      int status = 0;
      try {
        run_steps(options);
      } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        status = 1;
      }
      std::fflush(stdout);
      _exit(status);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) throw InternalError(std::string("the workload ") + name + " failed", "bench steps");
  }
}

// ---- on a GPU

/// Of the result that the most arithmetic goes into.
DType product_dtype(const autodiff::Graph& graph) {
  DType dtype = float32;
  double most = 0;
  for (const autodiff::Node& node : graph.nodes)
    if (const double flops = autodiff::cost_of(graph, node).flops; flops > most) most = flops, dtype = graph.spec(node.outputs[0]).dtype;
  return dtype;
}

/// Steps are enqueued in rounds of about 50 ms, each of which is waited for: so the host works ahead, as it does in a training.
void run_on_device(const StepOptions& options, const Workload& workload, Device device) {
  workload.step();
  synchronize(device);
  const double first = seconds_since_launch();
  const auto step = [&] { workload.step(); };
  const int together = calls_within(device, std::min(0.05, options.seconds), step);
  std::vector<double> times;
  const std::uint64_t launched = device_plugin().graph_launches();
  for (const auto start = Clock::now(); times.size() < 3 || seconds_since(start) < options.seconds;) times.push_back(1e3 * seconds_of_calls(device, together, step));
  const std::size_t n = times.size() * std::size_t(together);
  const double launches = double(device_plugin().graph_launches() - launched) / double(n);
  const double ms = median(times), least = *std::min_element(times.begin(), times.end()), megabytes = double(memory_stats(device).peak) / double(1 << 20);
  const autodiff::ConcreteFunction& trace = workload.trace();
  const double flops = product_flops(trace.optimized()), bandwidth = copy_bandwidth(device);
  const DType dtype = product_dtype(trace.optimized());
  const std::string gpu = device_info(device).name;
  const std::optional<double> gflops = product_gflops(device, dtype);
  const double peak = nominal_gflops(gpu, dtype);
  nlohmann::ordered_json line{{"workload", options.workload}, {"device", gpu}, {"ms", ms}, {"min_ms", least}, {"n", n}, {"steps_per_s", 1e3 / ms}, {"device_peak_MB", megabytes}, {"first_step_s", first},
                              {"graph_launches_per_step", launches}, {"kernel_calls", trace.executable().step_count()}, {"dtype", std::string(name(dtype))}, {"GFLOPs", flops * 1e-6 / ms}, {"machine_GBps", bandwidth}};
  if (gflops) {
    const double limit = 1e-6 * (flops / *gflops + state_bytes(trace.optimized()) / bandwidth);
    line.update({{"machine_GFLOPs", *gflops}, {"limit_ms", limit}, {"share_of_limit", limit / ms}});
  }
  if (peak > 0) line.update({{"peak_GFLOPs", peak}, {"share_of_peak", flops * 1e-6 / ms / peak}});
  if (options.json) std::printf("%s\n", line.dump().c_str());
  else
    for (const auto& [key, value] : line.items()) std::printf("%-24s %s\n", key.c_str(), value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  if (options.profile) print_profile(workload, options.seconds);
  std::fflush(stdout);
}

}  // namespace

void run_steps(const StepOptions& options) {
  if (options.workload.empty()) return run_all(options);
  if (!options.device.empty()) set_default_device(Device(options.device));
  set_intra_op_threads(options.threads);
  if (options.fit) {
    run_fit(options);
    return void(std::fflush(stdout));
  }
  WorkloadParts parts = workload_parts(options.workload);
  parts.rows = options.batch.value_or(parts.rows);
  const Workload workload = make_workload(parts);
  if (!default_device().is_cpu()) return run_on_device(options, workload, default_device());
  workload.step();
  const double first = seconds_since_launch(), first_megabytes = peak_megabytes();
  for (int k = 0; k < 5; ++k) workload.step();
  constexpr std::size_t kMostSteps = 200'000;
  std::vector<double> times;
  for (const auto start = Clock::now(); (times.size() < 3 || seconds_since(start) < options.seconds) && times.size() < kMostSteps;) {
    const auto begin = Clock::now();
    workload.step();
    times.push_back(seconds_since(begin));
  }
  const double megabytes = peak_megabytes(), ms = 1e3 * median(times), least = 1e3 * *std::min_element(times.begin(), times.end());
  const autodiff::Graph& graph = workload.trace().optimized();
  const double flops = product_flops(graph), gflops = measured_gflops(), bandwidth = measured_bandwidth();
  const double limit = 1e-6 * (flops / gflops + state_bytes(graph) / bandwidth);
  if (options.json) {
    const nlohmann::ordered_json line{{"workload", options.workload}, {"threads", options.threads}, {"ms", ms}, {"min_ms", least}, {"n", times.size()}, {"steps_per_s", 1e3 / ms}, {"peak_MB", megabytes},
                                      {"first_step_s", first}, {"first_step_MB", first_megabytes}, {"GFLOPs", flops * 1e-6 / ms}, {"machine_GFLOPs", gflops}, {"machine_GBps", bandwidth}, {"limit_ms", limit}, {"share_of_limit", limit / ms}};
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%s, %d threads: %.4f ms a step (least %.4f), %.1f steps/s, peak %.1f MB; first step done %.2f s after the start, with %.1f MB\n", options.workload.c_str(), options.threads, ms, least, 1e3 / ms, megabytes, first, first_megabytes);
    std::printf("%.1f GFLOP/s of %.1f (oneDNN's sgemm); with %.1f GB/s for the variables the limit is %.4f ms: %.0f %% reached\n", flops * 1e-6 / ms, gflops, bandwidth, limit, 100 * limit / ms);
  }
  if (options.profile) print_profile(workload, options.seconds);
  std::fflush(stdout);
}

}  // namespace lockstep::bench
