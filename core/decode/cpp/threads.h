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

}  // namespace
