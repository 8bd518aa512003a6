#include "job.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "agent.h"

namespace lockstep::launch {
namespace {

using std::chrono::milliseconds;

// How long mpirun may take to end the other ranks after one has failed, and to end itself.
constexpr milliseconds kCleanUp{4000};
// How long mpirun's text waits for a rank's own account of what happened, which says it better.
constexpr milliseconds kTextWaits{500};
// More than a pipe holds, by far, when nobody writes to it any more.
constexpr int kReadsAtOnce = 64;

std::chrono::steady_clock::duration seconds(double count) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(count));
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers(words.size() + 1, nullptr);
  for (std::size_t i = 0; i < words.size(); ++i) pointers[i] = const_cast<char*>(words[i].c_str());
  return pointers;
}

}  // namespace

Job::Job(const Command& command, const RunOptions& options, int ranks, Printer& printer, Signals& signals, Clock::time_point deadline)
    : command_(command), options_(options), printer_(printer), signals_(signals), timeout_(deadline),
      decoder_([this](int rank, RecordKind kind, std::string_view payload) { receive(rank, kind, payload); }), out_(make_pipe()), err_(make_pipe()) {
  end_.program = options.program.at(0);
  end_.ranks = ranks;
}

void Job::start() {
  const std::vector<char*> argv = pointers(command_.arguments);
  mpirun_ = fork();
  if (mpirun_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (mpirun_ == 0) {
    // A group of its own: Ctrl-C on the terminal is for us, to pass on. It ends with us, whatever ends us.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signals_.restore();
    for (const auto& [name, value] : command_.environment) setenv(name.c_str(), value.c_str(), 1);
    if (isatty(STDIN_FILENO)) dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(out_.write.number(), STDOUT_FILENO);
    dup2(err_.write.number(), STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(kCannotStart);
  }
  setpgid(mpirun_, mpirun_);
  out_.write.close();
  err_.write.close();
  for (const Pipe* pipe : {&out_, &err_}) fcntl(pipe->read.number(), F_SETFL, O_NONBLOCK);
}

void Job::receive(int rank, RecordKind kind, std::string_view payload) {
  const std::string text(payload);
  const int number = std::atoi(text.c_str());
  switch (kind) {
    case RecordKind::out: return printer_.rank_output(rank, false, payload);
    case RecordKind::err: return printer_.rank_output(rank, true, payload);
    case RecordKind::start:
      started_[rank].pid = number;
      started_[rank].host = text.substr(std::min(text.find(' '), text.size() - 1) + 1);
      end_.started = int(started_.size());
      // Asked to end before there was anyone to ask.
      if (end_.interrupted || end_.timed_out) tell_mpirun(kTerminateRank);
      return;
    case RecordKind::refused: return ended({.rank = rank, .how = RankEnd::How::refused, .value = number});
    case RecordKind::exit: return ended({.rank = rank, .how = RankEnd::How::exit, .value = number});
    case RecordKind::signal: return ended({.rank = rank, .how = RankEnd::How::signal, .value = number});
    case RecordKind::told: return ended({.rank = rank, .how = RankEnd::How::exit, .value = number, .told = true});
  }
}

void Job::ended(RankEnd end) {
  end.pid = started_[end.rank].pid;
  end.host = started_[end.rank].host;
  end.seconds = std::chrono::duration<double>(Clock::now() - started_at_).count();
  end_.ends.push_back(end);
  if (end.how == RankEnd::How::exit && end.value == 0) return;
  // Who was asked to end, ended; the others get their time to do so. After anything else mpirun ends the job.
  const bool asked = end.how == RankEnd::How::exit && end.value == kEndedByRequest;
  patience_ = std::min(patience_, Clock::now() + (asked ? seconds(options_.grace) : kCleanUp));
}

void Job::read_signals() {
  while (const std::optional<int> signal = signals_.next()) {
    switch (*signal) {
      case SIGCHLD: over_ = over_ || waitpid(mpirun_, &status_, WNOHANG) == mpirun_; break;
      case SIGUSR1:
      case SIGUSR2: tell_mpirun(*signal); break;
      default:
        if (end_.interrupted) end_mpirun();
        else ask(*signal);
    }
  }
}

/// Asks the ranks to end, by the signal that the user has sent; a terminal that goes away is a request like SIGTERM.
void Job::ask(int signal) {
  end_.interrupted = signal;
  if (started_.empty()) return end_mpirun();
  printer_.say(std::string(signal == SIGINT ? "interrupted" : "asked to end") + ": the ranks get " + seconds_text(options_.grace) + " to end (once more ends them at once)");
  tell_mpirun(signal == SIGINT ? kInterruptRank : kTerminateRank);
  patience_ = std::min(patience_, Clock::now() + seconds(options_.grace));
}

/// (Its number may be somebody else's once it is over.)
void Job::tell_mpirun(int signal) const {
  if (!over_) kill(mpirun_, signal);
}

void Job::end_mpirun() {
  if (over_) return;
  // mpirun ends what it has started when it gets SIGTERM. The second time it is beyond that.
  kill(ending_ ? -mpirun_ : mpirun_, ending_ ? SIGKILL : SIGTERM);
  ending_ = true;
  patience_ = Clock::now() + kCleanUp;
}

void Job::enforce() {
  const Clock::time_point now = Clock::now();
  if (now >= timeout_ && !end_.timed_out) {
    end_.timed_out = true;
    if (started_.empty()) return end_mpirun();
    tell_mpirun(kTerminateRank);
    patience_ = std::min(patience_, now + seconds(options_.grace));
  }
  if (now >= patience_) end_mpirun();
}

/// What has come, but no more than that: of ranks that never stop writing there is always more, and a signal would wait for ever.
void Job::read_ranks() {
  char bytes[1 << 16];
  ssize_t count = 1;
  for (int reads = 0; reads < kReadsAtOnce && count > 0; ++reads) {
    count = read(out_.read.number(), bytes, sizeof bytes);
    if (count > 0) decoder_.add({bytes, std::size_t(count)});
  }
}

void Job::read_text() {
  char bytes[1 << 12];
  for (ssize_t count; (count = read(err_.read.number(), bytes, sizeof bytes)) > 0;) {
    if (shown_ == text_.size()) text_since_ = Clock::now();
    text_.append(bytes, std::size_t(count));
  }
}

void Job::show_text() {
  for (const std::string& line : readable_lines(text_.substr(shown_))) printer_.say("mpirun: " + line);
  shown_ = text_.size();
}

int Job::wait_ms() const {
  Clock::time_point next = std::min(timeout_, patience_);
  if (end_.timed_out) next = patience_;
  if (shown_ < text_.size()) next = std::min(next, Clock::now() + kTextWaits);
  const int printer = printer_.wait_ms();
  if (next == Clock::time_point::max()) return printer;
  const auto left = std::chrono::ceil<milliseconds>(next - Clock::now()).count();
  const int ours = int(std::clamp<milliseconds::rep>(left, 0, 60000));
  return printer < 0 ? ours : std::min(ours, printer);
}

JobEnd Job::run() {
  start();
  bool hears_ranks = true, hears_text = true;
  while (!over_) {
    pollfd ready[] = {{signals_.descriptor(), POLLIN, 0}, {hears_ranks ? out_.read.number() : -1, POLLIN, 0}, {hears_text ? err_.read.number() : -1, POLLIN, 0}};
    poll(ready, 3, wait_ms());
    read_ranks();
    read_text();
    hears_ranks = hears_ranks && !(ready[1].revents & POLLHUP);
    hears_text = hears_text && !(ready[2].revents & POLLHUP);
    read_signals();
    enforce();
    printer_.due();
    RankEnd in_text;
    const bool all_well = end_.ends.empty() && !ending_ && !end_.interrupted;
    if (all_well && shown_ < text_.size() && Clock::now() >= text_since_ + kTextWaits && !find_end_in_text(text_, in_text)) show_text();
  }
  read_ranks();
  read_text();
  printer_.finish();
  end_.mpirun_code = WIFSIGNALED(status_) ? -WTERMSIG(status_) : WEXITSTATUS(status_);
  if (options_.verbose || end_.mpirun_code == 0) show_text();
  end_.mpirun_text = text_;
  end_.shown = shown_;
  return end_;
}

}  // namespace lockstep::launch
