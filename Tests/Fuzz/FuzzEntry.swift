/// libFuzzer itself.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ run: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What the Swift package manager makes the `main` of.
@_cdecl("fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>)
  -> CInt
{
  FuzzRun.prepare()
  var count = count
  var arguments = arguments
  return runDriver(&count, &arguments) { bytes, count in
    FuzzRun.run(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
  }
}
