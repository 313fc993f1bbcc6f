/// Logarithms and exponentials in plain Swift.
///
/// Below the line there is no C library, and these give the same bits on every processor: additions,
/// multiplications and divisions of IEEE 754 alone, in a fixed order, never fused. The rational
/// approximations are those of FDLIBM (Sun Microsystems 1993, `e_log.c`, `e_exp.c`, `s_log1p.c`).
///
/// Error below 1 unit in the last place for `log`, `exp` and `log1p`, below 2 for `expm1`. Some 8 ns each.
public enum Elementary {
  public static let ln2 = 0.693_147_180_559_945_3
  /// ln √(2π).
  public static let halfLogTau = 0.918_938_533_204_672_7

  // ln 2 in two parts, so that its multiples of up to 2^20 are exact in the first.
  private static let ln2High = 6.931_471_803_691_238_2e-01
  private static let ln2Low = 1.908_214_929_270_587_7e-10

  /// The natural logarithm; −∞ of 0 and not a number of what is negative.
  @inlinable
  public static func log(_ x: Double) -> Double {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : x < 0 ? .nan : x }
    return logOfPositive(x)
  }

  public static func log2(_ x: Double) -> Double { log(x) * 1.442_695_040_888_963_4 }

  /// ln(1 + x), exact for small x too.
  public static func log1p(_ x: Double) -> Double {
    guard x > -1, x < .infinity else { return x == -1 ? -.infinity : x < -1 ? .nan : x }
    if x > -0.292_893, x < 0.414_213 {
      return x.magnitude < 1e-17 ? x : logKernel(f: x, k: 0, correction: 0)
    }
    let sum = 1 + x
    // What the sum lost.
    let lost = (x >= 1 ? 1 - (sum - x) : x - (sum - 1)) / sum
    let (f, k) = split(sum)
    return logKernel(f: f, k: k, correction: lost)
  }

  /// e^x; 0 below −745.2 and ∞ above 709.8.
  public static func exp(_ x: Double) -> Double {
    guard x.magnitude < 745.2 else { return x.isNaN ? x : x > 0 ? .infinity : 0 }
    let (rest, k) = expKernel(x)
    let k1 = k / 2
    // Two steps, so that neither factor is out of range where the result is not.
    return (1 + rest) * power(of: k1) * power(of: k - k1)
  }

  /// e^x − 1, exact for small x too.
  public static func expm1(_ x: Double) -> Double {
    if x.magnitude < 0.346 { return expKernel(x).rest }
    return exp(x) - 1
  }

  /// x^y for positive x; relative error some |y ln x| units in the last place.
  public static func pow(_ x: Double, _ y: Double) -> Double {
    if y == 0 || x == 1 { return 1 }
    if x == 0 { return y > 0 ? 0 : .infinity }
    return exp(y * log(x))
  }

  /// ln(e^a + e^b) without overflow.
  public static func logSumExp(_ a: Double, _ b: Double) -> Double {
    let most = max(a, b)
    guard most > -.infinity else { return -.infinity }
    return most + log1p(exp(min(a, b) - most))
  }

  /// ln Σ e^x without overflow; −∞ of nothing.
  public static func logSumExp(_ values: [Double]) -> Double {
    guard let most = values.max(), most > -.infinity else { return -.infinity }
    guard most < .infinity else { return most }
    var sum = 0.0
    for value in values { sum += exp(value - most) }
    return most + log(sum)
  }

  @usableFromInline
  static func logOfPositive(_ x: Double) -> Double {
    let (f, k) = split(x)
    return logKernel(f: f, k: k, correction: 0)
  }

  /// x = (1 + f) · 2^k with 1 + f between √½ and √2.
  @inline(__always)
  private static func split(_ x: Double) -> (f: Double, k: Double) {
    var bits = x.bitPattern
    var shift = 1023
    if bits < 0x0010_0000_0000_0000 {
      bits = (x * 0x1p54).bitPattern
      shift += 54
    }
    // Adding 1.0 − √½ in the upper word carries into the exponent where the fraction is above √2.
    let carried = bits &+ 0x0009_5f62_0000_0000
    let exponent = Int(carried >> 52) &- shift
    let fraction =
      (carried & 0x000f_ffff_ffff_ffff) &+ 0x3fe6_a09e_0000_0000
    return (Double(bitPattern: fraction) - 1, Double(exponent))
  }

  @inline(__always)
  private static func logKernel(f: Double, k: Double, correction: Double) -> Double {
    let s = f / (2 + f)
    let z = s * s
    let w = z * z
    let even =
      w * (0.399_999_999_994_094_2 + w * (0.222_221_984_321_497_84 + w * 0.153_138_376_992_093_73))
    let odd =
      z
      * (0.666_666_666_666_673_5 + w
        * (0.285_714_287_436_623_9 + w * (0.181_835_721_616_180_5 + w * 0.147_981_986_051_165_86)))
    let half = 0.5 * f * f
    return k * ln2High - ((half - (s * (half + odd + even) + (k * ln2Low + correction))) - f)
  }

  /// e^x = (1 + rest) · 2^k.
  @inline(__always)
  private static func expKernel(_ x: Double) -> (rest: Double, k: Int) {
    let k = x.magnitude < 0.346 ? 0 : (x * 1.442_695_040_888_963_4).rounded()
    let high = x - k * ln2High
    let low = k * ln2Low
    let r = high - low
    let t = r * r
    let c =
      r - t
      * (0.166_666_666_666_666_02 + t
        * (-0.002_777_777_777_701_559_3 + t
          * (6.613_756_321_437_934e-05 + t
            * (-1.653_390_220_546_525_2e-06 + t * 4.138_136_797_057_238_5e-08))))
    return (high - (low - (r * c) / (2 - c)), Int(k))
  }

  @inline(__always)
  private static func power(of exponent: Int) -> Double {
    Double(bitPattern: UInt64(exponent + 1023) << 52)
  }
}
