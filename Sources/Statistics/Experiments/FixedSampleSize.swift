/// Power and size of a test of two rates that is read once, for plans and comparisons.
///
/// By the normal approximation with the arms' own variances (Fleiss 1981, without correction); off for rates
/// of fewer than some ten expected conversions.
public enum FixedSampleSize {
  /// The chance that the two-sided test finds a difference between these rates.
  public static func power(
    control: Double, treatment: Double, visitorsPerArm: Double, alpha: Double
  ) -> Double {
    let variance = control * (1 - control) + treatment * (1 - treatment)
    guard variance > 0, visitorsPerArm > 0 else { return control == treatment ? alpha : 1 }
    let shift = (treatment - control).magnitude / (variance / visitorsPerArm).squareRoot()
    let bound = Normal.upperQuantile(alpha / 2)
    return Normal.upper(bound - shift) + Normal.upper(bound + shift)
  }

  /// Visitors of each arm that it needs for this power, rounded up; infinite for equal rates.
  public static func visitorsPerArm(
    control: Double, treatment: Double, power: Double, alpha: Double
  ) -> Double {
    visitorsPerArm(
      difference: treatment - control,
      variance: control * (1 - control) + treatment * (1 - treatment), power: power, alpha: alpha)
  }

  /// The same of means.
  ///
  /// - Parameter variance: Of a visitor of each arm, both together.
  public static func visitorsPerArm(
    difference: Double, variance: Double, power: Double, alpha: Double
  ) -> Double {
    guard difference != 0 else { return .infinity }
    let sum = Normal.upperQuantile(alpha / 2) + Normal.quantile(power)
    return (sum * sum * variance / (difference * difference)).rounded(.up)
  }
}
