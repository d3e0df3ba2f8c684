//! ISO 3166-1 alpha-2 codes, and the provinces and states that are checked (decision 6).

/// Officially assigned codes (ISO 3166-1), as one string of pairs in order.
const COUNTRIES: &str = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ\
CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGY\
HKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZ\
NANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZ\
TCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";

/// Provinces and territories of Canada (Canada Post).
const PROVINCES: &str = "ABBCMBNBNLNSNTNUONPEQCSKYT";

/// States, the district, territories and military mail of the US (USPS Publication 28, appendix B).
const STATES: &str = "AAAEAKALAPARASAZCACOCTDCDEFLFMGAGUHIIAIDILINKSKYLAMAMDMEMHMIMNMOMPMSMTNCNDNENHNJNMNVNY\
OHOKORPAPRPWRISCSDTNTXUTVAVIVTWAWIWVWY";

/// ISO 639-1, as one string of pairs in order.
const LANGUAGES: &str = "AAABAEAFAKAMANARASAVAYAZBABEBGBIBMBNBOBRBSCACECHCOCRCSCUCVCYDADEDVDZEEELENEOESETEUFAFFFIFJFOFRFYGAGDGLGNGUGV\
HAHEHIHOHRHTHUHYHZIAIDIEIGIIIKIOISITIUJAJVKAKGKIKJKKKLKMKNKOKRKSKUKVKWKYLALBLGLILNLOLTLULVMGMHMIMKMLMNMRMSMTMY\
NANBNDNENGNLNNNONRNVNYOCOJOMOROSPAPIPLPSPTQURMRNRORURWSASCSDSESGSISKSLSMSNSOSQSRSSSTSUSVSWTATETGTHTITKTLTNTOTRTSTTTWTYUGUKURUZVEVIVOWAWOXHYIYOZAZHZU";

/// Every upper-case ISO 3166-1 alpha-2 code, in order.
pub fn countries() -> impl Iterator<Item = &'static str> {
    codes(COUNTRIES)
}

/// Every upper-case ISO 639-1 code, in order.
pub fn languages() -> impl Iterator<Item = &'static str> {
    codes(LANGUAGES)
}

/// Every province or state of a country, where they are checked.
pub fn regions_of(country: &str) -> impl Iterator<Item = &'static str> {
    codes(match country {
        "CA" => PROVINCES,
        "US" => STATES,
        _ => "",
    })
}

fn codes(pairs: &'static str) -> impl Iterator<Item = &'static str> {
    (0..pairs.len() / 2).filter_map(move |at| pairs.get(2 * at..2 * at + 2))
}

/// True for an upper-case ISO 639-1 code.
pub(crate) fn is_language(code: &str) -> bool {
    has(LANGUAGES, code)
}

fn has(pairs: &str, code: &str) -> bool {
    code.len() == 2 && pairs.as_bytes().chunks_exact(2).any(|pair| pair == code.as_bytes())
}

/// True for an upper-case ISO 3166-1 alpha-2 code.
pub(crate) fn is_country(code: &str) -> bool {
    has(COUNTRIES, code)
}

/// True for an upper-case code of a province or state of CA or US; for others, always.
pub(crate) fn is_region(code: &str, country: &str) -> bool {
    match country {
        "CA" => has(PROVINCES, code),
        "US" => has(STATES, code),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_every_code_once_and_in_order() {
        for (table, count) in [(COUNTRIES, 249), (PROVINCES, 13), (STATES, 62), (LANGUAGES, 183)] {
            let codes: Vec<&[u8]> = table.as_bytes().chunks_exact(2).collect();
            assert_eq!(codes.len(), count);
        }
        let mut codes: Vec<&[u8]> = COUNTRIES.as_bytes().chunks_exact(2).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 249);
        assert!(countries().all(is_country) && countries().count() == 249);
        assert!(languages().all(is_language) && languages().count() == 183);
        assert!(regions_of("CA").all(|code| is_region(code, "CA")) && regions_of("CA").count() == 13);
        assert_eq!((regions_of("US").count(), regions_of("DE").count()), (62, 0));
    }
}
