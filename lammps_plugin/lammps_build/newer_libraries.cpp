// Functions of glibc 2.38 and libstdc++ 13 that Debian's Kokkos calls, for machines with older ones.
// <iostream> constructs std::cerr: a program built by a newer compiler leaves that to the library.
#include <cstdlib>
#include <cstring>
#include <iostream>

extern "C" {

long __isoc23_strtol(const char *text, char **end, int base) { return std::strtol(text, end, base); }

// std::ios_base_library_initv()
void _ZSt21ios_base_library_initv() {}

// std::string::_M_replace_cold(position, old_length, text, length, length_behind): replaces part of
// a string by a text that may lie inside the string itself; there is room for it.
void _ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm(
    void *, char *position, size_t old_length, const char *text, size_t length, size_t length_behind)
{
  char *copy = static_cast<char *>(std::malloc(length ? length : 1));
  if (copy == nullptr) std::abort();
  std::memcpy(copy, text, length);
  std::memmove(position + length, position + old_length, length_behind);
  std::memcpy(position, copy, length);
  std::free(copy);
}

}
