#include <gtest/gtest.h>
#include <run/outcome.h>
#include <signal.h>

namespace lockstep::launch {
namespace {

using How = RankEnd::How;

JobEnd job(std::vector<RankEnd> ends, int ranks = 2) {
  JobEnd end;
  end.program = "./program";
  end.ranks = end.started = ranks;
  end.ends = std::move(ends);
  end.mpirun_code = 1;
  return end;
}

RankEnd with_code(int rank, int code, bool told = false) { return {.rank = rank, .how = How::exit, .value = code, .told = told}; }
RankEnd with_signal(int rank, int signal) { return {.rank = rank, .how = How::signal, .value = signal, .host = "h2", .pid = 77, .seconds = 2.5}; }

TEST(Outcome, IsWellIfAllRanksAre) {
  JobEnd end = job({with_code(0, 0), with_code(1, 0)});
  end.mpirun_code = 0;
  const Outcome outcome = judge(end, {}, false);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(outcome.lines.empty());
}

TEST(Outcome, NamesTheRankThatDiedAndNotThoseThatFollowed) {
  const Outcome outcome = judge(job({with_code(0, 143, true), with_signal(1, SIGKILL)}), {}, false);
  ASSERT_EQ(outcome.lines.size(), 1u);
  EXPECT_EQ(outcome.lines[0], "rank 1 (pid 77 on h2) died of SIGKILL (often the kernel's, when memory runs out) after 2.5 s; the other rank was ended");
  EXPECT_EQ(outcome.code, 137);
  EXPECT_TRUE(outcome.restartable);
}

TEST(Outcome, TakesTheDeathForTheCauseAndTheLostPeerForTheConsequence) {
  const Outcome outcome = judge(job({with_code(0, 75), with_code(2, 75), with_signal(1, SIGSEGV)}, 3), {}, false);
  EXPECT_EQ(outcome.code, 139);
  ASSERT_EQ(outcome.lines.size(), 2u);
  EXPECT_EQ(outcome.lines[0], "rank 1 (pid 77 on h2) died of SIGSEGV after 2.5 s");
  EXPECT_EQ(outcome.lines[1], "ranks 0 and 2 ended with exit code 75 (a collective ran past its deadline, or a peer was lost)");
}

TEST(Outcome, StartsAgainAfterSignalsAndLostPeersOnly) {
  EXPECT_TRUE(judge(job({with_code(0, 75)}), {}, false).restartable);
  for (const int code : {1, 2, 3, 126, 127, 143}) EXPECT_FALSE(judge(job({with_code(0, code)}), {}, false).restartable) << code;
  EXPECT_TRUE(judge(job({with_code(0, 3)}), {4, 3}, false).restartable);
  JobEnd interrupted = job({with_signal(0, SIGKILL)});
  interrupted.interrupted = SIGTERM;
  EXPECT_FALSE(judge(interrupted, {}, false).restartable);
}

TEST(Outcome, OfAnInterruptedJobIsTheSignalUnlessAllEndedWell) {
  JobEnd end = job({with_code(0, 143), with_code(1, 143)});
  end.interrupted = SIGINT;
  EXPECT_EQ(judge(end, {}, false).code, 130);
  end = job({with_code(0, 0), with_code(1, 0)});
  end.mpirun_code = 0;
  end.interrupted = SIGTERM;
  EXPECT_EQ(judge(end, {}, false).code, 0);
}

TEST(Outcome, SaysWhatCouldNotBeStartedAndWhy) {
  const Outcome outcome = judge(job({{.rank = 0, .how = How::refused, .value = ENOENT}, {.rank = 1, .how = How::refused, .value = ENOENT}}), {}, false);
  EXPECT_EQ(outcome.code, kNotFound);
  ASSERT_EQ(outcome.lines.size(), 1u);
  EXPECT_EQ(outcome.lines[0], "ranks 0 and 1 could not start ./program: No such file or directory");
}

TEST(Outcome, FindsInMpirunsTextWhoAborted) {
  JobEnd end = job({with_code(0, 143, true), with_code(1, 143, true)});
  end.mpirun_text = "-----\nMPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD\nwith errorcode 75.\n\nNOTE: ...\n";
  const Outcome outcome = judge(end, {}, false);
  EXPECT_EQ(outcome.code, 75);
  EXPECT_TRUE(outcome.restartable);
  EXPECT_EQ(outcome.lines.at(0).substr(0, 33), "rank 1 ended with exit code 75 (a");
}

TEST(Outcome, FindsInMpirunsTextWhoseAgentDied) {
  RankEnd end;
  ASSERT_TRUE(find_end_in_text("mpirun noticed that process rank 3 with PID 123 on node lsh2 exited on signal 9 (Killed).", end));
  EXPECT_EQ(end.rank, 3);
  EXPECT_EQ(end.pid, 123);
  EXPECT_EQ(end.host, "lsh2");
  EXPECT_EQ(end.value, 9);
  EXPECT_EQ(end.how, How::signal);
  EXPECT_FALSE(find_end_in_text("nothing of the kind", end));
}

TEST(Outcome, OfAJobThatNeverStartedIsNoReasonToTryAgainUnlessOneDidBefore) {
  JobEnd end = job({});
  end.started = 0;
  EXPECT_EQ(judge(end, {}, false).code, kCannotStart);
  EXPECT_FALSE(judge(end, {}, false).restartable);
  EXPECT_TRUE(judge(end, {}, true).restartable);
  EXPECT_TRUE(judge(end, {}, false).shows_mpirun_text);
}

TEST(Outcome, OfALostHostIsALostPeer) {
  JobEnd end = job({with_code(0, 143, true)});
  end.mpirun_text = "ORTE has lost communication with a remote daemon.\n\n  HNP daemon   : [[808,0],0] on node lsh1\n  Remote daemon: [[808,0],1] on node lsh2\n\nThis is usually due to\n";
  const Outcome outcome = judge(end, {}, false);
  EXPECT_EQ(outcome.lines, std::vector<std::string>{"the host lsh2 was lost"});
  EXPECT_EQ(outcome.code, kPeerLost);
  EXPECT_TRUE(outcome.restartable);
}

TEST(Outcome, ShowsOfMpirunsTextWhatTellsSomething) {
  const std::string text = "ssh: no route to host\n-------\nORTE was unable to start\n\nThis usually is caused by:\n\n* this\n* that\n-------\nmpirun: Forwarding signal 23 to job\nlast\n";
  EXPECT_EQ(readable_lines(text), (std::vector<std::string>{"ssh: no route to host", "ORTE was unable to start", "last"}));
}

}  // namespace
}  // namespace lockstep::launch
