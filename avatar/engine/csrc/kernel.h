// How kernels leave the library: each takes one plain struct of pointers and sizes and returns a code; no exceptions.
// Every one is compiled for each instruction set, in a namespace that AVATAR_ISA names, and exported as avatar_<isa>_<name>_<f|d>.
#pragma once
#include <cstdint>

#define AVATAR_JOIN2(isa, name, suffix) isa##_##name##_##suffix
#define AVATAR_JOIN(isa, name, suffix) AVATAR_JOIN2(isa, name, suffix)
#define AVATAR_EXPORT_AS(name, suffix, S, Arguments)                                         \
  extern "C" __attribute__((visibility("default"))) int64_t AVATAR_JOIN(AVATAR_ISA, name, suffix)( \
      const AVATAR_ISA::Arguments<S>* arguments) {                                           \
    return AVATAR_ISA::name<S>(*arguments);                                                  \
  }
// Exports `template <class S> int64_t name(const Arguments<S>&)` of namespace AVATAR_ISA for float and double.
#define AVATAR_EXPORT(name, Arguments)         \
  AVATAR_EXPORT_AS(name, f, float, Arguments)  \
  AVATAR_EXPORT_AS(name, d, double, Arguments)
