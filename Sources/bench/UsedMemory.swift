import CMemory

/// Memory that this machine has used before.
///
/// A virtual machine may get its memory only when it writes it for the first time: then a large page takes some
/// 4 ms instead of 0.2 ms, once in the life of the machine. Who measures single frames lets the machine have as
/// much first as the measurement takes; freed, it is what the kernel gives out next.
enum UsedMemory {
  static func touch(mebibytes: Int) {
    let byteCount = mebibytes << 20
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 1 << 21)
    smartcontent_want_large_pages(memory, byteCount)
    for offset in stride(from: 0, to: byteCount, by: 4096) {
      memory.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
    }
    memory.deallocate()
  }
}
