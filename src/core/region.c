/* core/region.c: Azure's regions, to some kilometres: the cities that Microsoft names for them.
 * Only an operator's shorthand for coordinates; what is not here is given by its numbers. */
#include "core/region.h"

#include <stddef.h>
#include <string.h>

enum { NAME_MAX = 32 };

static const struct core_region regions[] = {
    { "australiacentral", -35308, 149124 },
    { "australiaeast", -33860, 151209 },
    { "australiasoutheast", -37814, 144963 },
    { "austriaeast", 48208, 16373 },
    { "belgiumcentral", 50846, 4353 },
    { "brazilsouth", -23550, -46633 },
    { "brazilsoutheast", -22900, -43200 },
    { "canadacentral", 43653, -79383 },
    { "canadaeast", 46817, -71217 },
    { "centralindia", 18582, 73919 },
    { "centralus", 41591, -93604 },
    { "chilecentral", -33448, -70673 },
    { "chinaeast", 31230, 121474 },
    { "chinaeast2", 31230, 121474 },
    { "chinanorth", 39904, 116407 },
    { "chinanorth2", 39904, 116407 },
    { "chinanorth3", 40810, 114886 },
    { "eastasia", 22267, 114188 },
    { "eastus", 37372, -79817 },
    { "eastus2", 36668, -78389 },
    { "francecentral", 46377, 2373 },
    { "francesouth", 43834, 2198 },
    { "germanynorth", 53073, 8807 },
    { "germanywestcentral", 50110, 8682 },
    { "indonesiacentral", -6208, 106846 },
    { "israelcentral", 31265, 34856 },
    { "italynorth", 45469, 9182 },
    { "japaneast", 35680, 139770 },
    { "japanwest", 34694, 135502 },
    { "koreacentral", 37567, 126978 },
    { "koreasouth", 35180, 129076 },
    { "malaysiawest", 3140, 101693 },
    { "mexicocentral", 20588, -100389 },
    { "newzealandnorth", -36849, 174763 },
    { "northcentralus", 41882, -87628 },
    { "northeurope", 53348, -6260 },
    { "norwayeast", 59913, 10752 },
    { "norwaywest", 58970, 5733 },
    { "polandcentral", 52233, 21017 },
    { "qatarcentral", 25551, 51440 },
    { "southafricanorth", -25731, 28218 },
    { "southafricawest", -34076, 18843 },
    { "southcentralus", 29417, -98500 },
    { "southeastasia", 1283, 103833 },
    { "southindia", 12982, 80164 },
    { "spaincentral", 40426, -3709 },
    { "swedencentral", 60675, 17141 },
    { "switzerlandnorth", 47451, 8564 },
    { "switzerlandwest", 46204, 6143 },
    { "uaecentral", 24467, 54367 },
    { "uaenorth", 25267, 55316 },
    { "uksouth", 50941, -799 },
    { "ukwest", 53427, -3084 },
    { "usgovarizona", 33448, -112074 },
    { "usgovtexas", 29424, -98494 },
    { "usgovvirginia", 37372, -79817 },
    { "westcentralus", 40890, -110234 },
    { "westeurope", 52367, 4900 },
    { "westindia", 19088, 72868 },
    { "westus", 37783, -122417 },
    { "westus2", 47233, -119852 },
    { "westus3", 33448, -112074 },
};

/* Lower-case, without spaces; "" when it is too long. */
static void fold(struct span text, char ret_name[NAME_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < text.len && n < NAME_MAX; i++) {
        uint8_t c = text.data[i];

        if (c != ' ') {
            ret_name[n++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
    }
    ret_name[n < NAME_MAX ? n : 0] = '\0';
}

const struct core_region *core_region_find(struct span text)
{
    char name[NAME_MAX];

    fold(text, name);
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        if (strcmp(name, regions[i].name) == 0) {
            return &regions[i];
        }
    }
    return NULL;
}
