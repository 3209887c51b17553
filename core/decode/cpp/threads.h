// Work on every thread: on torch's pool where it is given, since two pools would spin against each other for the cores.
#pragma once
#include <atomic>
#include <thread>
#include <vector>

namespace {

typedef void (*Parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel of torch's own OpenMP

template <class Work>
void on_threads(int threads, Parallel parallel, Work& work) {
  if (parallel) return parallel([](void* it) { (*(Work*)it)(); }, &work, threads, 0);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&] { work(); });
  work();
  for (auto& t : others) t.join();
}

}  // namespace
