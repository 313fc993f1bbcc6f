/// The order of texts by their bytes in UTF-8, which is that of their code points.
///
/// Swift's own order takes texts for equal that Unicode takes for the same, however they are encoded.
public enum TextBytes {
  /// Below 0 where `a` comes first, 0 where their bytes are the same, else above 0. A nanosecond a byte that they
  /// have in common.
  public static func order(_ a: String, _ b: String) -> Int {
    let (x, y) = (a.utf8.span, b.utf8.span)
    for index in 0..<min(x.count, y.count) {
      let difference = Int(x[index]) - Int(y[index])
      if difference != 0 { return difference }
    }
    return x.count - y.count
  }
}
