// Work on every thread: on torch's pool where it is given, since two pools would spin against each other for the cores.
#pragma once
#include <atomic>
#include <thread>
#include <vector>

namespace {

typedef void (*Parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel of torch's own OpenMP

// The work on so many threads; how many took part, which a pool may make fewer (OMP_THREAD_LIMIT, OMP_DYNAMIC).
template <class Work>
int on_threads(int threads, Parallel parallel, Work& work) {
  std::atomic<int> taken{0};
  auto counted = [&] {
    ++taken;
    work();
  };
  if (parallel) {
    parallel([](void* it) { (*(decltype(counted)*)it)(); }, &counted, threads, 0);
    return taken;
  }
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&] { counted(); });
  counted();
  for (auto& t : others) t.join();
  return taken;
}

// Items 0 to count, each given once. A thread takes neighbours, whose first lines it has fetched beyond the ends of those
// before, and only then what another has left.
class Shares {
  struct alignas(64) Share {
    std::atomic<int> next{0};
    int end = 0;
  };
  std::vector<Share> shares;
  std::atomic<int> begun{0};

 public:
  Shares(int count, int threads) : shares(threads) {
    for (int i = 0; i < threads; ++i) {
      shares[i].next = int(int64_t(count) * i / threads);
      shares[i].end = int(int64_t(count) * (i + 1) / threads);
    }
  }
  template <class Work>
  void take(Work work) {
    const int mine = begun++, all = int(shares.size());
    for (int i = 0; i < all; ++i) {
      Share& share = shares[(mine + i) % all];
      for (int item; (item = share.next++) < share.end;) work(item);
    }
  }
};

}  // namespace
