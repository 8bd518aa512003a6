// golden_test [--device cuda] FAMILY...: runs the golden cases of these families (all, if none is named) of $LOCKSTEP_GOLDEN, on the device.
// With --verbose each case is named before it runs: so a run that dies tells where, and --after NAME goes on behind that case.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>

#include "case.h"

namespace {

struct Family {
  const char* name;
  const char* file;
  void (*check)(const golden::Case&);
};
constexpr Family kFamilies[] = {
    {"ops", "ops.h5", golden::check_op},
    {"grads", "grads.h5", golden::check_gradient},
    {"derivatives", "derivatives.h5", golden::check_derivative},
    {"optimizers", "optimizers.h5", golden::check_optimizer},
    {"losses_metrics", "losses_metrics.h5", golden::check_losses_metrics},
    {"components", "components.h5", golden::check_component},
    {"layers", "layers.h5", golden::check_layer},
    {"training", "training.h5", golden::check_training},
    {"data_pipeline", "data_pipeline.json", golden::check_data_pipeline},
    {"image_signal", "image_signal.h5", golden::check_image_signal},
    {"data_structures", "data_structures.json", golden::check_data_structures},
};

constexpr int kNoDevice = 77;  // the exit code by which a test says that it was skipped

/// "family name" lines of what is not built yet.
std::set<std::string> pending_cases(const std::filesystem::path& file) {
  std::set<std::string> result;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != '#') result.insert(line);
  return result;
}

int usage(const std::string& complaint) {
  std::fprintf(stderr, "golden_test: %s\nusage: golden_test [--device cpu|cuda|cuda:N] [--only TEXT] [--verbose] [--after NAME] [FAMILY...]\nfamilies:", complaint.c_str());
  for (const Family& family : kFamilies) std::fprintf(stderr, " %s", family.name);
  std::fprintf(stderr, "\nThe cases are read from $LOCKSTEP_GOLDEN (default ../shared/golden seen from the project's root).\n");
  return 2;
}

/// Cases that hold the rounding of one order of addition where the exact result is 0: a GPU adds in another.
constexpr std::string_view kOtherOrder[] = {"losses_metrics 0382_AUC"};

/// Is it the refusal of a row for which no CUDA kernel makes sense?
bool host_only(const std::exception& error) {
  const auto* refusal = dynamic_cast<const lockstep::UnimplementedError*>(&error);
  if (!refusal || lockstep::default_device().is_cpu() || std::string_view(error.what()).find("no kernel for device cuda") == std::string_view::npos) return false;
  const auto rows = lockstep::op_table();
  return std::any_of(rows.begin(), rows.end(), [&](const lockstep::OpDef& op) { return op.name == refusal->op() && !op.no_cuda.empty(); });
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> wanted;
  std::string only, after;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--only" && i + 1 < argc) only = argv[++i];
    else if (argument == "--after" && i + 1 < argc) after = argv[++i];
    else if (argument == "--verbose") verbose = true;
    else if (argument == "--device" && i + 1 < argc) {
      try {
        lockstep::set_default_device(lockstep::Device(argv[++i]));
      } catch (const lockstep::Error& error) {
        std::fprintf(stderr, "golden_test: %s\n", error.what());
        return dynamic_cast<const lockstep::UnavailableError*>(&error) ? kNoDevice : 2;
      }
    } else if (argument.starts_with("-")) return usage("unknown option " + argument);
    else wanted.push_back(argument);
  }
  for (const std::string& name : wanted)
    if (std::none_of(std::begin(kFamilies), std::end(kFamilies), [&](const Family& family) { return name == family.name; })) return usage("unknown family " + name);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  const char* given = std::getenv("LOCKSTEP_GOLDEN");
  const std::filesystem::path folder = given ? std::filesystem::path(given) : std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "../shared/golden";
  const std::set<std::string> pending = pending_cases(std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "tests/golden/pending.txt");
  int passed = 0, failed = 0, waiting = 0, skipped = 0;
  for (const Family& family : kFamilies) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), family.name) == wanted.end()) continue;
    try {
      golden::for_each_case(folder / family.file, [&](const golden::Case& c) {
        if (c.name.find(only) == std::string::npos) return;
        if (!after.empty()) {
          if (c.name == after) after.clear();
          return;
        }
        if (verbose) std::printf("case %s %s\n", family.name, c.name.c_str());
        const auto skip = [&] {
          ++skipped;
          if (verbose) std::printf("skipped\n");
        };
        const bool rounding = std::find(std::begin(kOtherOrder), std::end(kOtherOrder), std::string(family.name) + " " + c.name) != std::end(kOtherOrder);
        if (rounding && !lockstep::default_device().is_cpu()) return skip();
        const bool is_pending = pending.contains(std::string(family.name) + " " + c.name);
        std::string complaint;
        try {
          family.check(c);
        } catch (const golden::TakenByDevice&) {
          return skip();
        } catch (const std::exception& error) {
          if (host_only(error)) return skip();
          complaint = error.what();
        }
        if (complaint.empty() && is_pending) complaint = "passes, but is listed in tests/golden/pending.txt: take it out";
        else if (!complaint.empty() && is_pending) return void(++waiting);
        if (complaint.empty()) return void(++passed);
        ++failed;
        std::printf("FAILED %s %s %s: %s\n", family.name, c.name.c_str(), c.spec.value("attrs", c.spec.value("args", golden::Json())).dump().c_str(), complaint.c_str());
      });
    } catch (const std::exception& error) {
      ++failed;
      std::printf("FAILED %s: %s\n", family.name, error.what());
    }
  }
  if (skipped) std::printf("%d skipped: no CUDA kernel makes sense for the op, the CPU refuses an element that a GPU takes, or a case holds the rounding of one order of addition\n", skipped);
  if (waiting) std::printf("%d pending\n", waiting);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed || passed == 0 ? 1 : 0;
}
