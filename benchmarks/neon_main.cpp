// The compiled kernel as a program of its own, for a processor that is not here: one problem from a file, its answer out.
#include <cstdio>
#include <cstdlib>
#include "../core/decode/cpp/host_kernel.cpp"

static std::vector<uint8_t> part(FILE* file) {
  int64_t bytes = 0;
  if (std::fread(&bytes, 8, 1, file) != 1) std::exit(2);
  std::vector<uint8_t> data(bytes);
  if (bytes && std::fread(data.data(), 1, bytes, file) != size_t(bytes)) std::exit(2);
  return data;
}

int main(int, char** arguments) {
  FILE* in = std::fopen(arguments[1], "rb");
  int32_t sizes[8];  // kind, sequences, heads, rows, dim, capacity, spans, threads
  float scale;
  if (!in || std::fread(sizes, 4, 8, in) != 8 || std::fread(&scale, 4, 1, in) != 1) return 2;
  const auto query = part(in), keys = part(in), values = part(in), lengths = part(in), ks = part(in), vs = part(in);
  std::vector<float> out(query.size() / 4);
  const DecodeStep step{sizes[0], 0, sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], scale,
                        query.data(), keys.data(), values.data(), (const int64_t*)lengths.data(),
                        ks.empty() ? nullptr : (const float*)ks.data(), vs.empty() ? nullptr : (const float*)vs.data(),
                        nullptr, nullptr, out.data(), nullptr};
  headroom_decode(&step);
  FILE* to = std::fopen(arguments[2], "wb");
  if (!to || std::fwrite(out.data(), 4, out.size(), to) != out.size()) return 2;
  std::fclose(to);
  std::puts(headroom_level());
}
